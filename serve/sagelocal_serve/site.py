"""What a server has to run: one application, and what each of its worker processes does first."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from sagelocal_serve.batching import batching_of
from sagelocal_serve.entry import WsgiApp
from sagelocal_serve.hosted import HostedModel, State
from sagelocal_serve.metrics import Metrics
from sagelocal_serve.settings import Settings

# Threads beyond those that invocations can hold, for health checks and connections just opened.
SPARE_THREADS = 4


@dataclass(frozen=True, slots=True)
class Site:
    """An application and its settings; `hosted` is its model, None if it has none of ours."""

    application: WsgiApp
    settings: Settings
    hosted: HostedModel | None = None
    metrics: Metrics | None = None

    @property
    def concurrency(self) -> int:
        """Requests that one worker lets into the application's model at a time."""
        if self.hosted is None:
            return self.settings.threads
        batching = batching_of(self.hosted.handler, self.settings)
        return max(self.settings.threads, batching.max_batch_size)

    @property
    def threads(self) -> int:
        """The most threads that one worker needs; they are started when there is use for them."""
        if self.hosted is None:
            return self.concurrency
        return self.concurrency + self.settings.queue_size + SPARE_THREADS

    def start_worker(self, number: int) -> None:
        """Begin to load the model in this worker, the number-th, unless it came with the fork."""
        if self.metrics is not None:
            self.metrics.attach(number)
        hosted = self.hosted
        if hosted is not None and hosted.state is State.WAITING:
            threading.Thread(target=hosted.load, name="model-loading", daemon=True).start()

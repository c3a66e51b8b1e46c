"""One job's row as its worker changes it: each state is committed before it is acted on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from sagelocal.domain.training import SecondaryStatus, TrainingJob
from sagelocal.engine.training_inbox import Cancelled, Closing
from sagelocal.engine.training_records import TrainingRecords

log = logging.getLogger(__name__)


class JobRow:
    """The row of the job `arn`. Every method raises NoSuchJob if it was deleted."""

    def __init__(self, arn: str, records: TrainingRecords) -> None:
        self.arn = arn
        self._records = records
        self._closing = threading.Event()

    @property
    def closing(self) -> bool:
        return self._closing.is_set()

    def wait_for_closing(self, timeout_seconds: float) -> bool:
        """Whether the row was closed within the time."""
        return self._closing.wait(timeout_seconds)

    def close(self) -> None:
        """From now on the row is the next plane's: changes raise Closing."""
        self._closing.set()

    def job(self) -> TrainingJob:
        return self._records.get(self.arn)

    def change(self, change: Callable[[TrainingJob], TrainingJob]) -> TrainingJob:
        """Commit the job as `change` makes it. Raises Closing."""
        if self._closing.is_set():
            raise Closing
        return self._records.change(self.arn, change)

    def advance(self, change: Callable[[TrainingJob], TrainingJob]) -> TrainingJob:
        """Change the job unless it was asked to stop. Raises Cancelled, Closing."""

        def guarded(job: TrainingJob) -> TrainingJob:
            if job.stop_cause:
                raise Cancelled
            return change(job)

        return self.change(guarded)

    def enter(self, status: SecondaryStatus) -> TrainingJob:
        """Raises Cancelled, Closing."""
        job = self.advance(lambda j: j.entering(status, time.time()))
        log.info("training-job %s: %s", job.name, status)
        return job

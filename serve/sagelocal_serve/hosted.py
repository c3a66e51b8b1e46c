"""The one model of a container, from its loading to its end: what /ping reports.

waiting ──> loading ──> ready
               └──────> failed

Where every worker loads a model of its own, the container is healthy from the first one on: a
request that reaches another worker earlier than its model waits for it there.
"""

from __future__ import annotations

import logging
import mmap
import threading
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from sagelocal_serve.errors import ModelError, ServeError, Unavailable, describe
from sagelocal_serve.interface import Handler

log = logging.getLogger("sagelocal_serve")


class State(Enum):
    """How far the model is."""

    WAITING = "waiting"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


class HostedModel:
    """A handler and the state of its model; safe to ask from any thread."""

    def __init__(self, handler: Handler, model_dir: Path) -> None:
        self.handler = handler
        self._model_dir = model_dir
        self._state = State.WAITING
        self._reason = ""
        self._prepared = False
        self._lock = threading.Lock()
        self._settled = threading.Event()
        # One byte that all workers have in common: whether one of them has had its model.
        self._loaded_anywhere = mmap.mmap(-1, 1)

    @property
    def state(self) -> State:
        return self._state

    def prepare(self) -> None:
        """Do once per container what must not be done by every worker; failures end in FAILED."""
        with self._lock:
            self._attempt(self._prepare, "prepared")

    def load(self) -> None:
        """Load the model unless that was done or has failed. Never raises."""
        with self._lock:
            self._attempt(self._prepare, "prepared")
            if self._state is not State.WAITING:
                return
            self._state = State.LOADING
            started = time.monotonic()
            if self._attempt(self._load, "loaded"):
                self._state = State.READY
                self._loaded_anywhere[0] = True
                self._settled.set()
                log.info("Model loaded in %.3f s", time.monotonic() - started)

    def problem(self) -> ServeError | None:
        """Why the container is not healthy at the moment; None when it is."""
        if self._state is State.READY:
            return None
        if self._state is State.FAILED:
            return ModelError(self._reason)
        return None if self._loaded_anywhere[0] else Unavailable("The model is loading.")

    def await_model(self, about_to_wait: Callable[[], object] | None = None) -> None:
        """Return when this worker's model can be used; raises ServeError if it cannot.

        Waits only in a healthy container, so that a caller who was told so gets an answer;
        `about_to_wait` is called first if there is a wait.
        """
        if self._state is State.READY:
            return
        if problem := self.problem():
            raise problem
        if about_to_wait is not None:
            about_to_wait()
        self._settled.wait()
        if problem := self.problem():
            raise problem

    def _prepare(self) -> None:
        if not self._prepared:
            self._prepared = True
            self.handler.prepare(self._model_dir)

    def _load(self) -> None:
        self.handler.load(self._model_dir)

    def _attempt(self, step: Callable[[], None], done: str) -> bool:
        try:
            step()
        except Exception as error:
            log.exception("The model could not be %s", done)
            self._reason = f"The model could not be {done}. {describe(error)}"
            self._state = State.FAILED
            self._settled.set()
            return False
        return True

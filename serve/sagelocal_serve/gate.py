"""Lets a few requests into the model and a bounded number wait, so that /ping always gets through.

The server's thread pool is larger than gate and queue together: however many invocations are
under way, a health check finds a free thread, and a caller beyond the queue learns at once that
the server is busy instead of waiting for a timeout.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from sagelocal_serve.errors import Unavailable

#: In a WSGI environment, from servers that want to know: a function to call before waiting, so
#: that another thread attends to the other connections at once.
ABOUT_TO_WAIT = "sagelocal_serve.about_to_wait"


class Gate:
    """Admits `capacity` holders at a time and `queue_size` more to wait for it."""

    def __init__(self, capacity: int, queue_size: int) -> None:
        self._free = threading.Semaphore(capacity)
        self._places = threading.Semaphore(capacity + queue_size)
        self._waiting_allowed = queue_size

    def enter(self, about_to_wait: Callable[[], object] | None = None) -> None:
        """Take a place, waiting for one if need be; raises Unavailable if too many wait.

        `about_to_wait` is called first if there is a wait.
        """
        if not self._places.acquire(blocking=False):
            raise Unavailable(
                f"{self._waiting_allowed} requests are waiting in this worker already. Try again "
                "later, or raise SAGEMAKER_MODEL_JOB_QUEUE_SIZE."
            )
        if not self._free.acquire(blocking=False):
            if about_to_wait is not None:
                about_to_wait()
            self._free.acquire()

    def leave(self) -> None:
        """Give the place back."""
        self._free.release()
        self._places.release()

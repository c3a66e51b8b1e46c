"""Lets a few requests into the model and a bounded number wait, so that /ping always gets through.

The server's thread pool is larger than gate and queue together: however many invocations are
under way, a health check finds a free thread, and a caller beyond the queue learns at once that
the server is busy instead of waiting for a timeout.
"""

from __future__ import annotations

import threading

from sagelocal_serve.errors import Unavailable


class Gate:
    """Admits `capacity` holders at a time and `queue_size` more to wait for it."""

    def __init__(self, capacity: int, queue_size: int) -> None:
        self._free = threading.Semaphore(capacity)
        self._places = threading.Semaphore(capacity + queue_size)
        self._waiting_allowed = queue_size

    def enter(self) -> None:
        """Take a place, waiting for one if need be; raises Unavailable if too many wait."""
        if not self._places.acquire(blocking=False):
            raise Unavailable(
                f"{self._waiting_allowed} requests are waiting in this worker already. Try again "
                "later, or raise SAGEMAKER_MODEL_JOB_QUEUE_SIZE."
            )
        self._free.acquire()

    def leave(self) -> None:
        """Give the place back."""
        self._free.release()
        self._places.release()

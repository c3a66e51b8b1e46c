"""Memory that the supervisor and its workers share: what each connection and worker is about.

A worker writes, the supervisor reads when something has gone wrong; a byte and a float need no
lock. Writing costs some ten nanoseconds, which is why a worker can say for every request that it
has begun and that it is answered.
"""

from __future__ import annotations

import mmap
import time
from enum import IntEnum


class Exchange(IntEnum):
    """How far the request on a connection is."""

    NONE = 0  # between two requests: any worker may go on with the connection
    BEGUN = 1  # a worker has read at least a part of a request and answered nothing
    ANSWERING = 2  # a part of the answer may have left


class Board:
    """One byte for each connection, one time for each worker."""

    def __init__(self, connections: int, workers: int) -> None:
        #: Indexed by a connection's number; values of Exchange.
        self.exchanges = mmap.mmap(-1, connections)
        self._signs = memoryview(mmap.mmap(-1, workers * 8)).cast("d")

    def sign_of_life(self, worker: int) -> None:
        """Note that a worker runs."""
        self._signs[worker] = time.monotonic()

    def silent_seconds(self, worker: int) -> float:
        """How long ago that was."""
        return time.monotonic() - self._signs[worker]

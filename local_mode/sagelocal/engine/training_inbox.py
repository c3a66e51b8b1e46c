"""What a job's worker is told while it works: everything that happens arrives in one inbox.

The ends of containers, pipes that run dry, an image that became ready, a row that somebody changed,
a plane that closes. The worker waits here and nowhere else, so nothing polls.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sagelocal.runtime.interface import Exit, Handle


class Cancelled(Exception):
    """The job was asked to stop before its containers were started."""


class Closing(Exception):
    """The plane lets go of the job."""


class LostContainer(Exception):
    """A container of the job cannot be seen any more."""


@dataclass(frozen=True)
class Ended:
    """A container ended, or what became of it cannot be known (`error`)."""

    host: str
    handle: Handle
    exit: Exit | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class Starved:
    """The process that filled a container's pipes has ended; `feeding.failure(pipes)` says why."""

    pipes: Path


@dataclass(frozen=True)
class Prepared:
    """The image is ready, or cannot be made ready (`error`)."""

    error: Exception | None = None


class LookAgain:
    """The job's row was changed by somebody else: it is to stop, or is interrupted."""


class Close:
    """The plane is closing."""


Event = Ended | Starved | Prepared | LookAgain | Close


class Inbox:
    """A job's events, in the order in which they came. Any thread may put."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def put(self, event: Event) -> None:
        self._events.put(event)

    def next(self, timeout_seconds: float | None = None) -> Event | None:
        """The next event, waited for; None when the time is over. Raises Closing."""
        try:
            return _open(self._events.get(timeout=timeout_seconds))
        except queue.Empty:
            return None

    def waiting(self) -> Iterator[Event]:
        """What has come already, without waiting. Raises Closing."""
        while True:
            try:
                event = self._events.get_nowait()
            except queue.Empty:
                return
            yield _open(event)


def _open(event: Event) -> Event:
    if isinstance(event, Close):
        raise Closing
    return event

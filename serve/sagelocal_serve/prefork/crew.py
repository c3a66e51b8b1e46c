"""Who waits for the sockets: a few threads of which one leads, and a watch that replaces it.

The leader waits for all connections of a worker, reads a request and answers it itself: handing
each request to another thread would cost more than most predictions. Before it turns to a request
it lays the leadership down, and takes it up again afterwards with one instruction each. Should
the request take longer than a few milliseconds, or say that it is about to wait, another thread
takes the leadership, so that a health check never stands behind a prediction; the first one finds
that out when it is done and joins the others.

    leader:   poll, read ── lay down ── answer ── take up ── poll ...
    watch:                     │ 5 ms later: wake a follower
    follower:                  └── take up ── poll, read ...      (the old leader follows now)
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

log = logging.getLogger("sagelocal_serve")

# A request that takes longer than this is one that others should not wait for.
PATIENCE_SECONDS = 0.005
# Without a request for so many ticks the watch sleeps until the next one.
QUIET_TICKS = 20
DOZE_SECONDS = 1.0


class Crew:
    """Threads that share the one task `lead`, which returns when leadership was lost."""

    def __init__(self, lead: Callable[[], None], size: int, eager: bool) -> None:
        """`eager`: hand the leadership on with every request, for models that want threads."""
        self._lead = lead
        self._size = size
        self._eager = eager
        self._leadership = threading.Lock()
        self._followers: list[threading.Lock] = []
        self._threads = 0
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._dozing = False
        self._busy_since = 0.0
        self._requests = 0

    def start(self) -> None:
        """Start the first leader."""
        self.promote()

    def lay_down(self) -> None:
        """The leader turns to a request."""
        self._requests += 1
        self._busy_since = time.monotonic()
        self._leadership.release()
        if self._dozing:
            self._dozing = False
            self._bell.put(None)
        if self._eager:
            self.promote()

    def take_up(self) -> bool:
        """Back from a request; whether this thread still leads."""
        if self._leadership.acquire(blocking=False):
            self._busy_since = 0.0
            return True
        return False

    def promote(self) -> None:
        """Let another thread lead, if the leadership is free when it looks."""
        try:
            self._followers.pop().release()
        except IndexError:
            if self._threads < self._size:
                self._threads += 1
                name = f"serve-{self._threads}"
                threading.Thread(target=self._work, name=name, daemon=True).start()

    def watch(self, tick: Callable[[], bool]) -> None:
        """Look after the leader in the calling thread until `tick` says that all is over.

        `tick` is called about every second at least.
        """
        quiet = 0
        seen = 0
        while tick():
            self._dozing = quiet >= QUIET_TICKS
            # A request that came before it dozed off has rung no bell.
            doze = self._dozing and seen == self._requests
            with contextlib.suppress(Empty):
                self._bell.get(timeout=DOZE_SECONDS if doze else PATIENCE_SECONDS)
            self._dozing = False
            since = self._busy_since
            # Seen twice: on a busy machine one look may find any request taking long.
            if since and seen == self._requests and time.monotonic() - since > PATIENCE_SECONDS:
                self.promote()
            quiet = quiet + 1 if seen == self._requests else 0
            seen = self._requests

    def wake_watch(self) -> None:
        """Make the watch call its `tick` now."""
        self._bell.put(None)

    def _work(self) -> None:
        turn = threading.Lock()
        turn.acquire()
        while True:
            if self._leadership.acquire(blocking=False):
                self._busy_since = 0.0
                try:
                    self._lead()
                except Exception:
                    log.exception("A worker cannot go on")
                    os._exit(1)  # the supervisor replaces it and tells the callers
            self._followers.append(turn)
            turn.acquire()

"""Answers 503 on the server's port while the model loads in the same process.

The model is loaded before worker processes exist, so that they share its memory. Until then
there would be nobody to answer: a caller could not tell "loading" from "dead". One thread and
one event loop answer every request in the meantime; whoever connects at the very end waits in
the socket's backlog until the workers accept.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from types import TracebackType

from sagelocal_serve.errors import Unavailable, error_body

HEADER_LIMIT = 64 * 1024
FAREWELL_SECONDS = 0.2
_BODY = error_body(Unavailable.status, Unavailable.kind, "The model is loading.")
_ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nRetry-After: 1\r\nConnection: close\r\n\r\n%b"
) % (len(_BODY), _BODY)


class WaitingRoom:
    """A context in which a listening socket answers 503; the socket stays open after it."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._visitors: dict[socket.socket, bytes] = {}
        self._selector = selectors.DefaultSelector()
        self._wake, self._bell = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="waiting-room", daemon=True)

    def __enter__(self) -> WaitingRoom:
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # No thread may be left when the workers are forked.
        self._bell.send(b"\0")
        self._thread.join()
        self._selector.close()
        self._wake.close()
        self._bell.close()

    def _run(self) -> None:
        while not self._attend_to_all(None):
            pass
        self._selector.unregister(self._listener)
        self._selector.unregister(self._wake)
        # Whoever is in the room already gets an answer; a connection closed with its request
        # unread would be reset.
        deadline = time.monotonic() + FAREWELL_SECONDS
        while self._visitors and (left := deadline - time.monotonic()) > 0:
            self._attend_to_all(left)
        for visitor in list(self._visitors):
            self._see_off(visitor)

    def _attend_to_all(self, timeout_seconds: float | None) -> bool:
        """Wait for something to happen and deal with it; True when the bell rang."""
        rang = False
        for key, _ in self._selector.select(timeout_seconds):
            if key.fileobj is self._wake:
                rang = True
            elif key.fileobj is self._listener:
                self._welcome()
            else:
                assert isinstance(key.fileobj, socket.socket)
                self._attend(key.fileobj)
        return rang

    def _welcome(self) -> None:
        with contextlib.suppress(OSError):
            visitor, _ = self._listener.accept()
            visitor.setblocking(False)
            self._visitors[visitor] = b""
            self._selector.register(visitor, selectors.EVENT_READ)

    def _attend(self, visitor: socket.socket) -> None:
        """Read on; answer at the end of the headers, then swallow the rest until they hang up."""
        try:
            data = visitor.recv(HEADER_LIMIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._see_off(visitor)
            return
        before = self._visitors[visitor]
        if before is _ANSWER:
            return
        seen = before + data
        if b"\r\n\r\n" in seen or len(seen) > HEADER_LIMIT:
            seen = _ANSWER
            with contextlib.suppress(OSError):
                visitor.send(_ANSWER)
                visitor.shutdown(socket.SHUT_WR)
        self._visitors[visitor] = seen

    def _see_off(self, visitor: socket.socket) -> None:
        del self._visitors[visitor]
        self._selector.unregister(visitor)
        visitor.close()

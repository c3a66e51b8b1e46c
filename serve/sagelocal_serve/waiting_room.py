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
from types import TracebackType

from sagelocal_serve.errors import Unavailable, error_body

HEADER_LIMIT = 64 * 1024
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
        for visitor in list(self._visitors):
            self._see_off(visitor)
        self._selector.close()
        self._wake.close()
        self._bell.close()

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._wake:
                    return
                if key.fileobj is self._listener:
                    self._welcome()
                else:
                    assert isinstance(key.fileobj, socket.socket)
                    self._attend(key.fileobj)

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

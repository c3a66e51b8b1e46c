"""Callers whose worker died: each gets a 500 that names the cause, and time to read it."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from sagelocal_serve.errors import ModelError, error_body
from sagelocal_serve.prefork.answer import plain_answer

FAREWELL_SECONDS = 2.0
DISCARD_BYTES = 64 * 1024


@dataclass(slots=True)
class Dealt:
    """A connection that a worker has: our copy of it, and its number on the board."""

    socket: socket.socket
    number: int
    message: bytes


class Condolences:
    """The connections that are answered in a dead worker's place.

    What they still send is read for a while: one that is closed on unread bytes is reset, and the
    answer may be lost with it. `drop` is called with each when it is over.
    """

    def __init__(self, epoll: select.epoll, drop: Callable[[Dealt], None]) -> None:
        self._epoll = epoll
        self._drop = drop
        self._leaving: dict[int, tuple[Dealt, float]] = {}

    def __len__(self) -> int:
        return len(self._leaving)

    def __contains__(self, descriptor: int) -> bool:
        return descriptor in self._leaving

    def send(self, connection: Dealt, cause: str) -> None:
        """Tell the caller what its worker died of."""
        message = f"The worker that had this request died: {cause}. The log may say more."
        body = error_body(ModelError.status, ModelError.kind, message)
        try:
            connection.socket.send(plain_answer("500 Internal Server Error", body))
            connection.socket.shutdown(socket.SHUT_WR)
            self._epoll.modify(connection.socket, select.EPOLLIN)
        except OSError:
            self._drop(connection)
            return
        until = time.monotonic() + FAREWELL_SECONDS
        self._leaving[connection.socket.fileno()] = connection, until

    def hear_out(self, descriptor: int) -> None:
        """Read what the caller still sends, or see that it has hung up."""
        connection, _ = self._leaving[descriptor]
        try:
            if connection.socket.recv(DISCARD_BYTES):
                return
        except BlockingIOError:
            return
        except OSError:  # reset: the caller wants to hear nothing
            pass
        self._end(descriptor)

    def sweep(self) -> None:
        """Hang up on those who have not done so in time."""
        now = time.monotonic()
        for descriptor, (_, until) in list(self._leaving.items()):
            if now > until:
                self._end(descriptor)

    def close(self) -> None:
        """Close the descriptors in a process that is none of the supervisor's."""
        for connection, _ in self._leaving.values():
            connection.socket.close()

    def _end(self, descriptor: int) -> None:
        connection, _ = self._leaving.pop(descriptor)
        self._drop(connection)

"""Requests to a container over connections that stay open.

http.client rather than a pooling library: whether a connection was used before decides whether a
request may be sent again, and the time limit is for the whole answer, not for each read.
"""

from __future__ import annotations

import http.client
import select
import socket
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

# A request on a kept connection that fails within this time has met the server's closing it; later
# than this, the container had the request and died of it, and must not get it a second time.
STALE_SECONDS = 0.05


class NoAnswer(Exception):
    """The container closed the connection, or cannot be reached; the text says how."""


class TooSlow(Exception):
    """The whole answer was not there in time."""


@dataclass(frozen=True)
class Answer:
    """What a container said. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Connections:
    """Keep-alive connections to one container; any number of threads may use it at once."""

    def __init__(self, address: str) -> None:
        """`address` is http://host:port."""
        parts = urlsplit(address)
        self._host, self._port = parts.hostname or "", parts.port
        self._idle: deque[_Connection] = deque()

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float
    ) -> Answer:
        """Raises NoAnswer, TooSlow."""
        deadline = time.monotonic() + timeout_seconds
        try:
            if kept := self._take():
                sent_at = time.monotonic()
                try:
                    return self._exchange(kept, path, body, headers, deadline)
                except ConnectionError:
                    if time.monotonic() - sent_at > STALE_SECONDS:
                        raise
            return self._exchange(self._new(), path, body, headers, deadline)
        except TimeoutError as error:
            raise TooSlow(f"no answer within {timeout_seconds:g} seconds") from error
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(str(error) or type(error).__name__) from error

    def close(self) -> None:
        """Close what is idle; a request under way goes on."""
        while connection := self._pop():
            connection.close()

    def _new(self) -> _Connection:
        return _Connection(self._host, self._port)

    def _pop(self) -> _Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _take(self) -> _Connection | None:
        """The connection used last that the container has not closed meanwhile."""
        while connection := self._pop():
            if not _is_readable(connection.sock):
                return connection
            connection.close()
        return None

    def _exchange(
        self,
        connection: _Connection,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        deadline: float,
    ) -> Answer:
        try:
            connection.set_deadline(deadline)
            connection.send_post(path, body, headers)
            response = connection.getresponse()
            content = response.read()
        except BaseException:
            connection.close()
            raise
        if connection.sock is not None:
            self._idle.append(connection)
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, content)


class _Connection(http.client.HTTPConnection):
    """One connection whose operations all end by a deadline, in the clock of time.monotonic."""

    sock: _TimedSocket | None
    _deadline = 0.0

    def set_deadline(self, deadline: float) -> None:
        self._deadline = deadline
        if self.sock is not None:
            self.sock.deadline = deadline

    def connect(self) -> None:
        """Called by http.client when there is no socket yet."""
        plain = socket.create_connection((self.host, self.port), _left(self._deadline))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = _TimedSocket(fileno=plain.detach())
        self.sock.deadline = self._deadline

    def send_post(self, path: str, body: bytes, headers: Mapping[str, str]) -> None:
        self.putrequest("POST", path, skip_accept_encoding=True)
        for name, value in headers.items():
            self.putheader(name, value)
        self.putheader("Content-Length", str(len(body)))
        self.endheaders(body)


class _TimedSocket(socket.socket):
    """A socket whose time limit is for everything until `deadline`, not for each operation."""

    deadline = 0.0

    def recv_into(self, *arguments: Any, **options: Any) -> int:
        self.settimeout(_left(self.deadline))
        return super().recv_into(*arguments, **options)

    def sendall(self, *arguments: Any, **options: Any) -> None:
        # The time limit of sendall is one for all that it sends.
        self.settimeout(_left(self.deadline))
        return super().sendall(*arguments, **options)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _is_readable(sock: socket.socket | None) -> bool:
    """Whether an idle connection has something to say, which can only be its end."""
    if sock is None:
        return True
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))

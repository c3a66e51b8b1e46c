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
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

# A request on a kept connection that fails within this time has met the server's closing it; later
# than this, the container had the request and died of it, and must not get it a second time.
STALE_SECONDS = 0.05
# The most of an answer that is handed on at once. Less is, whenever less is there.
LONGEST_PART_BYTES = 256 * 1024


class NoAnswer(Exception):
    """The container closed the connection, or cannot be reached; the text says how."""


class TooSlow(Exception):
    """The answer did not come, or did not end, in time."""


class TooLarge(Exception):
    """The answer is longer than may be."""


@dataclass(frozen=True)
class Answer:
    """What a container said. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class OpenAnswer:
    """An answer whose body is still to come. Must be closed unless all of it has been read."""

    def __init__(
        self,
        response: http.client.HTTPResponse,
        seconds: float,
        end: Callable[[bool], None],
    ) -> None:
        """`end` is called once, with whether the connection may be used again."""
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self._response = response
        self._seconds = seconds
        self._end: Callable[[bool], None] | None = end

    def parts(self) -> Iterator[bytes]:
        """The body, each part as it comes; closed at its end. Raises NoAnswer, TooSlow."""
        whole = left = self._response.length
        with closing(self), _failures_told(self._seconds):
            while left != 0:
                part = self._response.read1(min(LONGEST_PART_BYTES, left or LONGEST_PART_BYTES))
                if not part:
                    break
                left = left and left - len(part)
                yield part
            if left:
                raise NoAnswer(f"the answer ended after {(whole or 0) - left} of {whole} bytes")
            self._done(reusable=True)

    def read(self, most_bytes: int) -> bytes:
        """The whole body. Raises NoAnswer, TooSlow, TooLarge."""
        length = self._response.length
        with _failures_told(self._seconds):
            if length is None:
                body = self._response.read(most_bytes + 1)
            elif length <= most_bytes:
                body = self._response.read()
        if (len(body) if length is None else length) > most_bytes:
            raise TooLarge(f"the answer is longer than {most_bytes} bytes")
        self._done(reusable=True)
        return body

    def close(self) -> None:
        """Have no more of it."""
        self._done(reusable=False)

    def _done(self, *, reusable: bool) -> None:
        end, self._end = self._end, None
        if end is not None:
            self._response.close()
            end(reusable)


class Connections:
    """Keep-alive connections to one container; any number of threads may use it at once."""

    def __init__(self, address: str) -> None:
        """`address` is http://host:port."""
        self.address = address
        parts = urlsplit(address)
        self._host, self._port = parts.hostname or "", parts.port
        self._idle: deque[_Connection] = deque()

    def post(
        self,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        timeout_seconds: float,
        most_bytes: int,
    ) -> Answer:
        """The whole answer. Raises NoAnswer, TooSlow, TooLarge."""
        answer = self.open(path, body, headers, timeout_seconds, timeout_seconds)
        with closing(answer):
            return Answer(answer.status, answer.headers, answer.read(most_bytes))

    def open(
        self,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        answer_seconds: float,
        end_seconds: float,
    ) -> OpenAnswer:
        """The answer once it has begun, which is to end in `end_seconds` from now.

        Raises NoAnswer, TooSlow.
        """
        started = time.monotonic()
        request = _Request(path, body, headers)
        with _failures_told(answer_seconds):
            connection, response = self._begin(request, started + answer_seconds)
        connection.set_deadline(started + end_seconds)

        def end(reusable: bool) -> None:
            if reusable and connection.sock is not None:
                self._idle.append(connection)
            else:
                connection.close()

        return OpenAnswer(response, end_seconds, end)

    def close(self) -> None:
        """Close what is idle; a request under way goes on."""
        while connection := self._pop():
            connection.close()

    def _begin(
        self, request: _Request, deadline: float
    ) -> tuple[_Connection, http.client.HTTPResponse]:
        """Send a request; the connection, and the answer as far as its body."""
        if kept := self._take():
            sent_at = time.monotonic()
            try:
                return kept, kept.exchange(request, deadline)
            except ConnectionError:
                if time.monotonic() - sent_at > STALE_SECONDS:
                    raise
        new = _Connection(self._host, self._port)
        return new, new.exchange(request, deadline)

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


@contextmanager
def _failures_told(seconds: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise TooSlow(f"no whole answer within {seconds:g} seconds") from error
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(str(error) or type(error).__name__) from error


@dataclass(frozen=True)
class _Request:
    path: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str]


class _Connection(http.client.HTTPConnection):
    """One connection whose operations all end by a deadline, in the clock of time.monotonic."""

    sock: _TimedSocket | None
    # The same socket, which `sock` forgets when an answer is to end with its connection.
    _connected: _TimedSocket | None = None
    _deadline = 0.0

    def set_deadline(self, deadline: float) -> None:
        self._deadline = deadline
        if self._connected is not None:
            self._connected.deadline = deadline

    def connect(self) -> None:
        """Called by http.client when there is no socket yet."""
        plain = socket.create_connection((self.host, self.port), _left(self._deadline))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._connected = _TimedSocket(fileno=plain.detach())
        self.sock.deadline = self._deadline

    def exchange(self, request: _Request, deadline: float) -> http.client.HTTPResponse:
        """Send it; the answer as far as its body. Whatever fails closes the connection."""
        try:
            self.set_deadline(deadline)
            self.putrequest("POST", request.path, skip_accept_encoding=True)
            for name, value in request.headers.items():
                self.putheader(name, value)
            self.putheader("Content-Length", str(len(request.body)))
            self.endheaders(request.body)
            return self.getresponse()
        except BaseException:
            self.close()
            raise


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

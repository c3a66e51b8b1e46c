"""The bytes of one connection become requests; no socket is touched here.

    inbox = Inbox(limit_bytes=1024)
    inbox.receive(b"POST / HTTP/1.1\r\nContent-Le")     -> None
    inbox.receive(b"ngth: 2\r\n\r\nhi")                 -> Inbound(head, b"hi")
    inbox.receive(b"")                                  -> None, or what was sent behind it

A body is kept whole, because a model wants it whole, up to one byte more than the limit; the rest
of a larger one is let pass, so that the application can tell its sender why.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sagelocal_serve.prefork.head import HEAD_LIMIT, Head, NotHttp, read_head

LINE_LIMIT = 4096
TRAILER_LIMIT = 32 * 1024

# RFC 9112, 7.1: a size in hexadecimal digits, and extensions that nobody uses.
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_METHOD_OR_EMPTY_LINE = re.compile(rb"[A-Z\r]")


@dataclass(frozen=True, slots=True)
class Inbound:
    """One request that has come in whole."""

    head: Head
    body: bytes


class Inbox:
    """What one connection has sent and nobody has answered yet."""

    __slots__ = ("_body", "_buffer", "_head", "_limit")

    def __init__(self, limit_bytes: int | None) -> None:
        self._limit = limit_bytes
        self._buffer = b""
        self._head: Head | None = None
        self._body: _Sized | _Chunked | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no part of a request is waiting."""
        return not self._buffer and self._head is None

    @property
    def awaited_head(self) -> Head | None:
        """The head of the request whose body is still coming."""
        return self._head

    def receive(self, data: bytes) -> Inbound | None:
        """The next request, if it is complete with these bytes; raises NotHttp."""
        if self._body is not None:
            return self._continue(data)
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        end = data.find(b"\r\n\r\n") + 4
        if end < 4:
            self._buffer = data
            _check_unfinished(data)
            return None
        if end > HEAD_LIMIT:
            raise NotHttp(431, "headers too large")
        head = read_head(data[:end])
        return self._begin(head, data[end:])

    def _begin(self, head: Head, rest: bytes) -> Inbound | None:
        length = head.content_length or 0
        if not head.is_chunked and len(rest) >= length and self._fits(length):
            self._buffer = rest[length:]
            return Inbound(head, rest[:length])
        self._head = head
        self._body = _Chunked(self._limit) if head.is_chunked else _Sized(length, self._limit)
        return self._continue(rest)

    def _fits(self, length: int) -> bool:
        return self._limit is None or length <= self._limit

    def _continue(self, data: bytes) -> Inbound | None:
        head, body = self._head, self._body
        assert head is not None
        assert body is not None
        rest = body.receive(data)
        if rest is None:
            return None
        self._head = self._body = None
        self._buffer = rest
        return Inbound(head, body.content())


class _Content:
    """Pieces of a body up to the limit and one byte."""

    def __init__(self, limit: int | None) -> None:
        self._pieces: list[bytes] = []
        self._room = None if limit is None else limit + 1

    def add(self, piece: bytes) -> None:
        if self._room is None:
            self._pieces.append(piece)
        elif self._room > 0:
            self._pieces.append(piece[: self._room])
            self._room -= len(piece)

    def joined(self) -> bytes:
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)


class _Sized:
    """A body of a known number of bytes."""

    def __init__(self, length: int, limit: int | None) -> None:
        self._missing = length
        self._content = _Content(limit)

    def receive(self, data: bytes) -> bytes | None:
        """What follows the body, once it is complete."""
        if len(data) < self._missing:
            self._missing -= len(data)
            self._content.add(data)
            return None
        self._content.add(data[: self._missing])
        return data[self._missing :]

    def content(self) -> bytes:
        return self._content.joined()


class _Chunked:
    """A body in chunks (RFC 9112, section 7.1)."""

    def __init__(self, limit: int | None) -> None:
        self._content = _Content(limit)
        self._pending = bytearray()
        self._missing = 0
        self._trailer_bytes = 0
        self._ended = False
        self._step: Callable[[], bool] = self._read_size

    def receive(self, data: bytes) -> bytes | None:
        """What follows the body, once it is complete; raises NotHttp."""
        self._pending += data
        while not self._ended:
            if not self._step():
                return None
        return bytes(self._pending)

    def content(self) -> bytes:
        return self._content.joined()

    def _read_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        found = _CHUNK_SIZE.fullmatch(line)
        if found is None:
            raise NotHttp(400, "chunk size expected")
        self._missing = int(found[1], 16)
        self._step = self._read_data if self._missing else self._read_trailer
        return True

    def _read_data(self) -> bool:
        piece = bytes(self._pending[: self._missing])
        del self._pending[: len(piece)]
        self._content.add(piece)
        self._missing -= len(piece)
        if self._missing:
            return False
        self._step = self._read_end_of_data
        return True

    def _read_end_of_data(self) -> bool:
        if len(self._pending) < 2:
            return False
        if self._pending[:2] != b"\r\n":
            raise NotHttp(400, "end of chunk expected")
        del self._pending[:2]
        self._step = self._read_size
        return True

    def _read_trailer(self) -> bool:
        line = self._line()
        if line is None:
            return False
        self._trailer_bytes += len(line)
        if self._trailer_bytes > TRAILER_LIMIT:
            raise NotHttp(431, "trailers too large")
        self._ended = not line
        return True

    def _line(self) -> bytes | None:
        end = self._pending.find(b"\n")
        if end < 0 and len(self._pending) <= LINE_LIMIT:
            return None
        if not 0 < end <= LINE_LIMIT or self._pending[end - 1] != 0x0D:
            raise NotHttp(400, "line end expected")
        line = bytes(self._pending[: end - 1])
        del self._pending[: end + 1]
        return line


def _check_unfinished(data: bytes) -> None:
    """Refuse at once what will never become the head of a request."""
    if len(data) > HEAD_LIMIT:
        raise NotHttp(431, "headers too large")
    if data and not _METHOD_OR_EMPTY_LINE.match(data):
        raise NotHttp(400, "bad request")
    if data.count(b"\n") != data.count(b"\r\n"):
        raise NotHttp(400, "bad request")

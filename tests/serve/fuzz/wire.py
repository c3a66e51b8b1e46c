"""HTTP as bytes: requests of any shape out, answers read strictly.

A connection is used once and closed for writing after the request, so that a server that waits for
more notices that there is none; whatever it has answered by then is read to the end.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

TIMEOUT_SECONDS = 60.0
# Enough for a server that is idle to read one piece before the next is there.
APART_SECONDS = 0.001

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [ -~]*)?")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*")


class NotAnAnswer(Exception):
    """What the server said is no HTTP."""


@dataclass(frozen=True)
class Message:
    """A request. `chunks` are the sizes that its body is sent in; without them it has a length."""

    method: bytes = b"POST"
    target: bytes = b"/invocations"
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes = field(default=b"", repr=True)
    chunks: Sequence[int] | None = None
    version: bytes = b"HTTP/1.1"

    def to_bytes(self) -> bytes:
        head = [self.method + b" " + self.target + b" " + self.version]
        head += [name + b": " + value for name, value in self.headers]
        if self.chunks is None:
            head.append(b"Content-Length: %d" % len(self.body))
            return b"\r\n".join([*head, b"", self.body])
        head.append(b"Transfer-Encoding: chunked")
        return b"\r\n".join([*head, b"", in_chunks(self.body, self.chunks)])


@dataclass(frozen=True)
class Answer:
    """One answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def in_chunks(body: bytes, sizes: Sequence[int]) -> bytes:
    """The body in chunks of these sizes, what is left in one more."""
    pieces = []
    for size in sizes:
        piece, body = body[:size], body[size:]
        if piece:
            pieces.append(b"%x\r\n%b\r\n" % (len(piece), piece))
    if body:
        pieces.append(b"%X\r\n%b\r\n" % (len(body), body))
    return b"".join([*pieces, b"0\r\n\r\n"])


def exchange(port: int, sent: bytes, cuts: Sequence[int] = ()) -> bytes:
    """All that the server answers to these bytes. Raises TimeoutError if there is no end to it.

    `cuts` are places where the bytes are torn apart, so that they arrive one piece after another.
    """
    bounds = [0, *sorted(cuts), len(sent)]
    received = []
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for start, end in pairwise(bounds):
                if start:
                    time.sleep(APART_SECONDS)
                connection.sendall(sent[start:end])
            connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(1 << 16):
                received.append(data)
        except (ConnectionResetError, BrokenPipeError):
            pass  # it had heard enough, and may hang up on the rest
    return b"".join(received)


def answers(received: bytes, *, to_head: bool = False) -> list[Answer]:
    """The answers in these bytes, without interim ones (1xx). Raises NotAnAnswer."""
    found = []
    while received:
        answer, received = _next(received, to_head)
        if answer.status >= 200:
            found.append(answer)
    return found


def _next(received: bytes, to_head: bool) -> tuple[Answer, bytes]:
    head, end, rest = received.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    status_line = _STATUS_LINE.fullmatch(first)
    if not end or status_line is None:
        raise NotAnAnswer(repr(received[:500]))
    status = int(status_line[1])
    headers = {}
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise NotAnAnswer(f"the header {line!r} in {received[:500]!r}")
        headers[header[1].decode().lower()] = header[2].decode("latin-1")
    # What was refused before its method was known is answered like any other, and hung up on.
    if status < 200 or status in (204, 304) or (to_head and not rest):
        return Answer(status, headers, b""), rest
    body, rest = _body(headers, rest)
    return Answer(status, headers, body), rest


def _body(headers: dict[str, str], rest: bytes) -> tuple[bytes, bytes]:
    if headers.get("transfer-encoding") == "chunked":
        return _dechunked(rest)
    if "content-length" not in headers:
        return rest, b""
    length = int(headers["content-length"])
    if len(rest) < length:
        raise NotAnAnswer(f"{len(rest)} of {length} bytes of a body: {rest[:500]!r}")
    return rest[:length], rest[length:]


def _dechunked(rest: bytes) -> tuple[bytes, bytes]:
    pieces: list[bytes] = []
    while True:
        size, end, rest = rest.partition(b"\r\n")
        if not end or not re.fullmatch(rb"[0-9a-fA-F]+", size):
            raise NotAnAnswer(f"the size of a chunk {size[:50]!r}")
        length = int(size, 16)
        piece, rest = rest[:length], rest[length:]
        if not rest.startswith(b"\r\n"):
            raise NotAnAnswer(f"no end of a chunk of {length} bytes")
        rest = rest[2:]
        if not length:
            return b"".join(pieces), rest
        pieces.append(piece)

"""From what a WSGI application returns to the bytes that leave, and their way out.

An answer whose bytes are all there leaves in one write, head and body together. Any other is sent
piece by piece as it is produced: in chunks, or to callers of HTTP/1.0 until the connection ends.
"""

from __future__ import annotations

import re
import select
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from gunicorn.http.message import TOKEN_RE
from gunicorn.http.wsgi import HEADER_VALUE_RE

from sagelocal_serve.prefork.head import Head

SEND_SECONDS = 60.0
JOIN_BYTES = 64 * 1024
REMEMBERED_HEADS = 512
# What concerns one connection is the server's business (PEP 3333).
HOP_BY_HOP = frozenset({"connection", "keep-alive", "te", "trailer", "transfer-encoding"})

# RFC 9112, section 4: three digits and a reason phrase.
_STATUS = re.compile(r"[1-9][0-9]{2}(?: [ \t\x21-\x7e\x80-\xff]*)?")
_DATE_NAMES = (
    ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
)


class CallerGone(Exception):
    """Nobody takes the answer any more."""


class Outlet:
    """A non-blocking socket that takes all it is given, however slowly the other side reads."""

    __slots__ = ("_mark_begun", "_socket", "begun")

    def __init__(self, connection: socket.socket, mark_begun: Callable[[], None]) -> None:
        self._socket = connection
        self._mark_begun = mark_begun
        self.begun = False

    def send(self, data: bytes) -> None:
        """Returns when everything is in the kernel's hands; raises CallerGone."""
        if not self.begun:
            self.begun = True
            self._mark_begun()
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise CallerGone from error
        if sent < len(data):
            self._send_slowly(memoryview(data)[sent:])

    def _send_slowly(self, rest: memoryview) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLOUT)
        while rest:
            if not poll.poll(SEND_SECONDS * 1000):
                raise CallerGone
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise CallerGone from error


class Answer:
    """One exchange from the application's side: `start_response`, `write`, and the body."""

    def __init__(self, outlet: Outlet, head: Head, keeps_alive: bool) -> None:
        self._outlet = outlet
        self._request = head
        self._status = ""
        self._headers: tuple[tuple[str, str], ...] = ()
        self._chunked = False
        self._unsent_head = True
        self.keeps_alive = keeps_alive

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        """PEP 3333: may be called again only to report an error, and not once bytes have left."""
        if exc_info is not None and self._outlet.begun:
            raise exc_info[1].with_traceback(exc_info[2])
        if exc_info is None and self._status:
            raise AssertionError("start_response was called twice without exc_info")
        self._status, self._headers = status, tuple(headers)
        return self._write

    def finish(self, body: Iterable[bytes]) -> None:
        """Send the body that the application returned; raises CallerGone, or what it raises."""
        try:
            if isinstance(body, (tuple, list)) and self._unsent_head:
                self._send_whole(b"".join(body))
            else:
                for piece in body:
                    self._write(piece)
                self._end()
        finally:
            close = getattr(body, "close", None)
            if close is not None:
                close()

    def _send_whole(self, body: bytes) -> None:
        length = len(body) if self._may_have_body else None
        head = self._head(length)
        if self._request.environ["REQUEST_METHOD"] == "HEAD" or length is None:
            body = b""
        if len(body) <= JOIN_BYTES:
            self._outlet.send(head + body)
        else:
            self._outlet.send(head)
            self._outlet.send(body)

    def _write(self, piece: bytes) -> None:
        if self._unsent_head:
            self._outlet.send(self._head(None))
        if not piece or self._request.environ["REQUEST_METHOD"] == "HEAD":
            return
        if self._chunked:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        self._outlet.send(piece)

    def _end(self) -> None:
        if self._unsent_head:
            self._send_whole(b"")
        elif self._chunked:
            self._outlet.send(b"0\r\n\r\n")

    @property
    def _may_have_body(self) -> bool:
        return self._status[:3] not in ("204", "304") and self._status[:1] != "1"

    def _head(self, length: int | None) -> bytes:
        """The head for a body of a length; None if it is not known yet, or there is none."""
        if not self._status:
            raise AssertionError("The application did not call start_response")
        self._unsent_head = False
        begin, has_length, closes = _head_bytes(self._status, self._headers)
        parts = [begin, _date_header(int(time.time()))]
        if self._may_have_body and not has_length:
            if length is not None:
                parts.append(b"Content-Length: %d\r\n" % length)
            elif self._request.is_http_1_0:
                self.keeps_alive = False
            else:
                self._chunked = True
                parts.append(b"Transfer-Encoding: chunked\r\n")
        self.keeps_alive = self.keeps_alive and not closes
        if not self.keeps_alive:
            parts.append(b"Connection: close\r\n")
        elif self._request.is_http_1_0:
            parts.append(b"Connection: keep-alive\r\n")
        parts.append(b"\r\n")
        return b"".join(parts)


def plain_answer(status: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """A whole answer with a JSON body, after which the connection is closed."""
    lines = [f"HTTP/1.1 {status}", "Connection: close", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "\r\n"]).encode("ascii") + body


@lru_cache(maxsize=REMEMBERED_HEADS)
def _head_bytes(status: str, headers: tuple[tuple[str, str], ...]) -> tuple[bytes, bool, bool]:
    """Status line and headers; whether they give a length; whether they ask for the end.

    Raises ValueError for what would break the framing, such as a line end in a value.
    """
    if not _STATUS.fullmatch(status):
        raise ValueError(f"{status!r} is not an HTTP status")
    lines = [f"HTTP/1.1 {status}"]
    has_length = closes = False
    for name, value in headers:
        if not TOKEN_RE.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a header")
        if not HEADER_VALUE_RE.fullmatch(value):
            raise ValueError(f"the value of the header {name} has control characters")
        lower = name.lower()
        has_length = has_length or lower == "content-length"
        closes = closes or (lower == "connection" and value.strip().lower() == "close")
        if lower not in HOP_BY_HOP:
            lines.append(f"{name}: {value.strip()}")
    return "\r\n".join([*lines, ""]).encode("latin-1"), has_length, closes


@lru_cache(maxsize=2)
def _date_header(second: int) -> bytes:
    moment = time.gmtime(second)
    days, months = _DATE_NAMES
    text = (
        f"Date: {days[moment.tm_wday]}, {moment.tm_mday:02} {months[moment.tm_mon - 1]} "
        f"{moment.tm_year} {moment.tm_hour:02}:{moment.tm_min:02}:{moment.tm_sec:02} GMT\r\n"
    )
    return text.encode("ascii")

"""The head of an HTTP/1 request as the WSGI environment that it means.

gunicorn's parser does the reading: it is strict where leniency lets requests be smuggled past a
proxy, and what is refused here is refused under gunicorn as well. It takes about 60 microseconds
of Python; clients send the same head again and again, so a head is read once and remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from gunicorn.config import Config
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader

HEAD_LIMIT = 64 * 1024
# A head that is remembered costs memory, so only those of a usual size are.
REMEMBERED_HEADS = 512
REMEMBERED_BYTES = 2048

_STATUS = {LimitRequestLine: (414, "uri too long"), LimitRequestHeaders: (431, "headers too large")}


class NotHttp(Exception):
    """What came is no HTTP request, or one too large to be read."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Head:
    """One request's head: `environ` holds all that does not depend on connection and body."""

    environ: dict[str, Any]
    content_length: int | None
    is_chunked: bool
    keeps_alive: bool
    expects_continue: bool
    is_http_1_0: bool


def read_head(data: bytes) -> Head:
    """The head in bytes that end with the empty line; raises NotHttp."""
    return _remembered(data) if len(data) <= REMEMBERED_BYTES else _read(data)


def refused(error: Exception) -> NotHttp:
    """gunicorn's error as the status and reason that the caller is told."""
    return NotHttp(*_STATUS.get(type(error), (400, "bad request")))


def _read(data: bytes) -> Head:
    try:
        request = Request(_CONFIG, IterUnreader([data]), ("", 0), 2)
    except (ParseException, StopIteration, OSError) as error:
        raise refused(error) from error
    headers = dict(request.headers)
    version = request.version or (1, 0)
    length = headers.get("CONTENT-LENGTH")
    return Head(
        environ=_environ(request, version),
        content_length=None if length is None else int(length),
        is_chunked="TRANSFER-ENCODING" in headers,
        keeps_alive=not request.should_close(),
        expects_continue=headers.get("EXPECT", "").lower() == "100-continue",
        is_http_1_0=version < (1, 1),
    )


_remembered = lru_cache(maxsize=REMEMBERED_HEADS)(_read)


def _environ(request: Request, version: tuple[int, int]) -> dict[str, Any]:
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(request.path or "").decode("latin-1"),
        "QUERY_STRING": request.query,
        "RAW_URI": request.uri,
        "SERVER_PROTOCOL": f"HTTP/{version[0]}.{version[1]}",
    }
    for name, value in request.headers:
        key = name.replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


def _config() -> Config:
    config = Config()
    config.set("forwarded_allow_ips", "")  # nobody in front of a container is asked for a scheme
    return config


_CONFIG = _config()

"""The WSGI application: environ to request, response to WSGI.

The path is taken raw, as it was sent: an S3 key may hold `%2F`, `+` and `//`, and a decoded path
cannot tell them from what they are not.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import urlsplit

from sagelocal import __version__
from sagelocal.gateway.body import RequestBody, buffered
from sagelocal.gateway.controls import Controls
from sagelocal.gateway.dispatch import Dispatcher, Exchange
from sagelocal.gateway.form_uploads import FormUploads
from sagelocal.gateway.handlers import HEALTH_PATH, Handler, HealthCheck, HostCheck, PeerCheck, walk
from sagelocal.protocol.http import Headers, HttpRequest, HttpResponse
from sagelocal.protocol.identify import FORM
from sagelocal.services.calls import OperationTable
from sagelocal.services.interruptions import interrupt_training_job

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from sagelocal.services.plane import Plane

# How `_` in a header's name is written in the environ's keys, where WSGI would make it one with
# `-` (`x-amz-meta-my_key` is not `x-amz-meta-my-key`). The server sees to it before it makes them.
UNDERSCORE = " "

# Forms are small; what claims to be one and is larger is somebody's upload.
_LARGEST_FORM_BYTES = 1024 * 1024

_FILE_BLOCK_BYTES = 256 * 1024

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")

_WITHOUT_LENGTH = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


def create_app(
    plane: Plane, operations: OperationTable, *, pid: int | None = None
) -> WSGIApplication:
    """The application for a plane. `pid` is the process to signal; this one if unset."""
    settings = plane.settings

    def facts() -> dict[str, Any]:
        return {
            "version": __version__,
            "data_dir": str(settings.data_dir),
            "runtime": plane.runtime.name,
            "host": settings.host,
            "port": settings.port,
            "pid": pid or os.getpid(),
        }

    dispatcher = Dispatcher(plane, operations)
    handlers: Sequence[Handler] = (
        PeerCheck(settings.host, plane.runtime.is_container),
        HostCheck(settings.host),
        HealthCheck(facts),
        Controls(partial(interrupt_training_job, plane)),
        FormUploads(dispatcher),
        dispatcher,
    )

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = _body(environ)
        request = to_request(environ, body)
        host = request.headers.get("host", f"{settings.host}:{settings.port}")
        exchange = Exchange(
            request, f"{environ['wsgi.url_scheme']}://{host}", peer=environ["REMOTE_ADDR"]
        )
        response = walk(handlers, exchange)
        body.drain()
        if request.path != HEALTH_PATH:
            exchange.log(response.status)
        return _send(response, environ, start_response)

    return app


def _body(environ: WSGIEnvironment) -> RequestBody:
    if "HTTP_TRANSFER_ENCODING" in environ:
        return RequestBody(environ["wsgi.input"], None)
    return RequestBody(environ["wsgi.input"], int(environ.get("CONTENT_LENGTH") or 0))


def to_request(environ: WSGIEnvironment, body: RequestBody) -> HttpRequest:
    """The request as it was sent; a form's body in memory, any other as a stream."""
    path, query = _raw_target(environ)
    request = HttpRequest(
        method=environ["REQUEST_METHOD"],
        path=path,
        query=query,
        headers=Headers(_headers(environ)),
        body=cast(BinaryIO, body),
        content_length=body.length,
    )
    if _is_form(request):
        return dataclasses.replace(request, body=buffered(request.body))
    return request


def _raw_target(environ: WSGIEnvironment) -> tuple[str, str]:
    """Path and query of the request line, which may hold a whole URL (RFC 9112, 3.2.2)."""
    target: str = environ.get("RAW_URI") or environ.get("REQUEST_URI") or "/"
    if not target.startswith("/"):
        parts = urlsplit(target)
        return parts.path or "/", parts.query
    path, _, query = target.partition("?")
    return path, query


def _headers(environ: WSGIEnvironment) -> Iterator[tuple[str, str]]:
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            yield key[5:].replace("_", "-").replace(UNDERSCORE, "_").lower(), value
    for key, name in (("CONTENT_TYPE", "content-type"), ("CONTENT_LENGTH", "content-length")):
        if environ.get(key):
            yield name, environ[key]


def _is_form(request: HttpRequest) -> bool:
    return (
        request.method == "POST"
        and request.path == "/"
        and request.headers.get("content-type", "").startswith(FORM)
        and request.content_length is not None
        and request.content_length <= _LARGEST_FORM_BYTES
    )


def _send(
    response: HttpResponse, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    headers = [(name, _header_text(value)) for name, value in response.headers]
    has_length = any(name.lower() == "content-length" for name, _ in headers)
    if isinstance(response.body, bytes):
        if not has_length and response.status not in _WITHOUT_LENGTH:
            headers.append(("Content-Length", str(len(response.body))))
        start_response(_status_line(response.status), headers)
        return [response.body] if response.body else []
    start_response(_status_line(response.status), headers)
    if hasattr(response.body, "fileno"):
        # An open file goes out by sendfile, from where it stands.
        wrap: Callable[[Any, int], Iterable[bytes]] = environ["wsgi.file_wrapper"]
        return wrap(response.body, _FILE_BLOCK_BYTES)
    return response.body


def _header_text(value: str) -> str:
    """A value that can stand in a header: one line, and UTF-8 where latin-1 cannot say it."""
    if not value.isprintable():
        value = _UNPRINTABLE.sub(" ", value)
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode().decode("latin-1")
    return value


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"

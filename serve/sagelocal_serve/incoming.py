"""From a WSGI environment to a handler's Request: the whole body, and the headers parsed.

Bodies arrive with a Content-Length or in chunks; either is measured against the limit, and a
caller that sends too much learns why.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import IO, Any

from sagelocal_serve.errors import (
    BadRequest,
    NotAcceptable,
    PayloadTooLarge,
    UnsupportedMediaType,
    describe,
)
from sagelocal_serve.interface import Request
from sagelocal_serve.media_type import OCTET_STREAM, Accept, MediaType, MediaTypeError
from sagelocal_serve.settings import Settings

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
DISCARD_SECONDS = 10.0
DISCARD_BYTES = 1024 * 1024

_CUSTOM_ATTRIBUTES = "HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES"
# InvokeEndpointWithResponseStream names the wanted format in a header of its own.
_STREAM_ACCEPT = "HTTP_X_AMZN_SAGEMAKER_ACCEPT"
_UNPREFIXED = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


def read_request(environ: dict[str, Any], settings: Settings) -> Request:
    """The invocation; raises BadRequest, NotAcceptable, PayloadTooLarge, UnsupportedMediaType."""
    return Request(
        body=read_body(environ, settings.body_limit),
        content_type=_content_type(environ.get("CONTENT_TYPE")),
        accept=_accept(
            environ.get("HTTP_ACCEPT") or environ.get(_STREAM_ACCEPT), settings.default_accept
        ),
        custom_attributes=environ.get(_CUSTOM_ATTRIBUTES, ""),
        headers=Headers(environ),
    )


def read_body(environ: dict[str, Any], limit: int | None) -> bytes:
    """The whole body; raises PayloadTooLarge, or BadRequest for one that breaks off."""
    declared = _declared_length(environ)
    stream: IO[bytes] = environ["wsgi.input"]
    if declared is None:
        # Without a length the body's end is where the server says; if it does not, there is none.
        if not environ.get("wsgi.input_terminated"):
            return b""
    elif limit is not None and declared > limit:
        raise _too_large(limit, stream)
    bound = declared if declared is not None else limit
    try:
        body = stream.read() if bound is None else _read_up_to(stream, bound + 1)
    except Exception as error:  # the server's reader has errors of its own for a broken body
        raise BadRequest(f"The body could not be read. {describe(error)}") from error
    if declared is not None and len(body) != declared:
        raise BadRequest(f"The body ended after {len(body)} of {declared} bytes.")
    if limit is not None and len(body) > limit:
        raise _too_large(limit, stream)
    return body


class Headers(Mapping[str, str]):
    """The headers of a WSGI environment, by names in lower case."""

    __slots__ = ("_environ",)

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        key = _UNPREFIXED.get(name) or "HTTP_" + name.upper().replace("-", "_")
        value = self._environ.get(key, "")
        if not value and (key in _UNPREFIXED.values() or key not in self._environ):
            raise KeyError(name)
        return str(value)

    def __iter__(self) -> Iterator[str]:
        for name, key in _UNPREFIXED.items():
            if self._environ.get(key):
                yield name
        for key in self._environ:
            if key.startswith("HTTP_"):
                yield key[5:].replace("_", "-").lower()

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Headers({', '.join(self)})"


def _declared_length(environ: dict[str, Any]) -> int | None:
    text = environ.get("CONTENT_LENGTH")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise BadRequest(f"Content-Length {text[:40]!r} is not a number of bytes.")
    return int(text)


def _read_up_to(stream: IO[bytes], size: int) -> bytes:
    pieces = []
    while size > 0 and (piece := stream.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large(limit: int, rest: IO[bytes]) -> PayloadTooLarge:
    """The error, once the caller has sent what it wants to send.

    Most HTTP clients look for an answer only after their last byte; to one whose connection is
    closed before that, the reason is lost in a broken pipe.
    """
    deadline = time.monotonic() + DISCARD_SECONDS
    with contextlib.suppress(Exception):  # a body that breaks off now is no other error
        while rest.read(DISCARD_BYTES) and time.monotonic() < deadline:
            pass
    return PayloadTooLarge(
        f"The body is larger than {limit} bytes. Send less, or raise SAGEMAKER_MAX_REQUEST_SIZE."
    )


def _content_type(text: str | None) -> MediaType:
    try:
        return MediaType.parse(text or OCTET_STREAM)
    except MediaTypeError as unreadable:
        raise UnsupportedMediaType(
            f"The Content-Type header cannot be read: {unreadable}."
        ) from unreadable


def _accept(text: str | None, default: Accept) -> Accept:
    try:
        accept = Accept.parse(text)
    except MediaTypeError as unreadable:
        raise NotAcceptable(f"The Accept header cannot be read: {unreadable}.") from unreadable
    return default if accept.is_anything else accept

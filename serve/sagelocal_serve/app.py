"""The hosting contract as a WSGI application (developer guide: your-algorithms-inference-code).

    GET  /ping                  200 ready, 503 loading, 500 the model could not be loaded
    POST /invocations           the handler's answer, or an error of `errors`
    GET  /execution-parameters  what batch transform should know, 404 if nothing

Everything that is about HTTP is here and nothing else is.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import IO

import flask
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.wsgi import get_input_stream

from sagelocal_serve.errors import (
    BadRequest,
    ModelError,
    NotAcceptable,
    PayloadTooLarge,
    ServeError,
    UnsupportedMediaType,
    describe,
    error_body,
)
from sagelocal_serve.gate import Gate
from sagelocal_serve.hosted import HostedModel
from sagelocal_serve.interface import Handler, Request, Response
from sagelocal_serve.media_type import JSON, OCTET_STREAM, Accept, MediaType, MediaTypeError
from sagelocal_serve.request_log import RequestLog
from sagelocal_serve.settings import Settings

log = logging.getLogger("sagelocal_serve")

CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
# InvokeEndpointWithResponseStream names the wanted format in a header of its own.
STREAM_ACCEPT = "X-Amzn-SageMaker-Accept"
CUSTOM_ATTRIBUTES_LIMIT = 1024
DISCARD_SECONDS = 10.0
DISCARD_BYTES = 1024 * 1024

# The HTTP errors that the router and the body reader raise, in Multi Model Server's words.
_KINDS = {
    400: "BadRequestException",
    404: "ResourceNotFoundException",
    405: "MethodNotAllowedException",
}


def create_app(
    handler: Handler, settings: Settings, hosted: HostedModel | None = None
) -> flask.Flask:
    """The application for a handler.

    Without `hosted` the model is loaded before this returns; the server passes its own, to
    answer health checks while the model loads.
    """
    if hosted is None:
        hosted = HostedModel(handler, settings.model_dir)
        hosted.load()
    service = _Service(hosted, settings)
    app = flask.Flask("sagelocal_serve", static_folder=None, template_folder=None)
    _route(app, "/ping", "GET", service.ping)
    _route(app, "/invocations", "POST", service.invoke)
    _route(app, "/execution-parameters", "GET", service.execution_parameters)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(ServeError, _serve_error)
    app.register_error_handler(Exception, _unexpected_error)
    if settings.request_log:
        RequestLog().watch(app)
    return app


class _Service:
    """The three routes over one hosted model."""

    def __init__(self, hosted: HostedModel, settings: Settings) -> None:
        self._hosted = hosted
        self._settings = settings
        self._gate = Gate(settings.threads, settings.queue_size)

    def ping(self) -> flask.Response:
        if problem := self._hosted.problem():
            return _serve_error(problem)
        return flask.Response(status=200, mimetype=JSON)

    def execution_parameters(self) -> flask.Response:
        parameters = self._hosted.handler.execution_parameters()
        if parameters is None:
            raise NotFound("This container leaves the parameters of batch transform to defaults.")
        return flask.Response(json.dumps(parameters.to_wire()) + "\n", mimetype=JSON)

    def invoke(self) -> flask.Response:
        request = self._read()
        if problem := self._hosted.problem():
            raise problem
        self._gate.enter()
        try:
            response = self._hosted.handler.handle(request)
            body = response.body
            if not isinstance(body, bytes):
                body = _Stream(body, self._gate)
            answer = _answer(response, body)
        except BaseException:
            self._gate.leave()
            raise
        if isinstance(body, bytes):
            self._gate.leave()
        return answer

    def _read(self) -> Request:
        incoming = flask.request
        headers = incoming.headers
        return Request(
            body=_read_body(incoming, self._settings.body_limit),
            content_type=_content_type(headers.get("Content-Type")),
            accept=self._accept(headers.get("Accept") or headers.get(STREAM_ACCEPT)),
            custom_attributes=headers.get(CUSTOM_ATTRIBUTES, ""),
            headers={name.lower(): value for name, value in headers},
        )

    def _accept(self, text: str | None) -> Accept:
        try:
            accept = Accept.parse(text)
        except MediaTypeError as unreadable:
            raise NotAcceptable(f"The Accept header cannot be read: {unreadable}.") from unreadable
        return self._settings.default_accept if accept.is_anything else accept


class _Stream:
    """The chunks of a streamed answer; holds the gate until they end.

    The first chunk is produced at once, so that a model that fails on its input still gives a
    500 with a body and not a 200 that breaks off.
    """

    def __init__(self, chunks: Iterable[bytes], gate: Gate) -> None:
        self._source = chunks
        self._gate = gate
        self._open = True
        iterator = iter(chunks)
        self._chunks = self._all(next(iterator, b""), iterator)

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        """Called by the server when the answer is out, or its receiver gone."""
        if not self._open:
            return
        self._open = False
        self._gate.leave()
        close = getattr(self._source, "close", None)
        if close is not None:
            close()

    def _all(self, first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
        if first:
            yield first
        try:
            yield from rest
        except Exception:
            log.exception("The model failed in the middle of a streamed answer")
            raise


def _route(app: flask.Flask, path: str, method: str, view: Callable[[], flask.Response]) -> None:
    app.add_url_rule(
        path, endpoint=path, view_func=view, methods=[method], provide_automatic_options=False
    )


def _read_body(incoming: flask.Request, limit: int | None) -> bytes:
    """The whole body; raises PayloadTooLarge, or BadRequest for one that breaks off.

    werkzeug's own reader cuts a chunked body off at the limit without a word.
    """
    declared = incoming.content_length
    stream = get_input_stream(incoming.environ)
    if limit is not None and (declared or 0) > limit:
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


def _answer(response: Response, body: bytes | Iterable[bytes]) -> flask.Response:
    answer = flask.Response(body, status=response.status)
    answer.headers["Content-Type"] = str(response.content_type)
    if response.custom_attributes:
        answer.headers[CUSTOM_ATTRIBUTES] = _checked_attributes(response.custom_attributes)
    return answer


def _checked_attributes(text: str) -> str:
    """What the platform would relay (API reference: InvokeEndpoint); raises ModelError."""
    if len(text) > CUSTOM_ATTRIBUTES_LIMIT or not (text.isascii() and text.isprintable()):
        raise ModelError(
            f"The handler's custom attributes are not at most {CUSTOM_ATTRIBUTES_LIMIT} visible "
            "ASCII characters."
        )
    return text


def _serve_error(error: ServeError) -> flask.Response:
    return _error(error.status, error.kind, error.message)


def _http_error(error: HTTPException) -> flask.Response:
    status = error.code or 500
    request = flask.request
    message = {
        404: f"There is nothing at {request.path}. Paths: /ping, /invocations.",
        405: f"{request.method} is not allowed on {request.path}.",
    }
    if status == 404 and isinstance(error, NotFound) and error.description != NotFound.description:
        message[404] = error.description or ""
    answer = _error(
        status,
        _KINDS.get(status, BadRequest.kind if status < 500 else ModelError.kind),
        message.get(status, error.name),
    )
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        answer.headers["Allow"] = ", ".join(sorted(allowed))
    return answer


def _unexpected_error(error: Exception) -> flask.Response:
    log.error("The model failed on a request", exc_info=error)
    return _serve_error(ModelError(f"The model failed on this request. {describe(error)}"))


def _error(status: int, kind: str, message: str) -> flask.Response:
    return flask.Response(error_body(status, kind, message), status=status, mimetype=JSON)

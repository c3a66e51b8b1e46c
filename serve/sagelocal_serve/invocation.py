"""One model's side of `POST /invocations`: read, pass the gate, ask the handler, answer.

Every model that is hosted has an `Invoker` of its own, so that one model's queue is not
another's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from sagelocal_serve.batching import batching_of
from sagelocal_serve.errors import ModelError, ServeError, describe
from sagelocal_serve.gate import ABOUT_TO_WAIT, Gate
from sagelocal_serve.hosted import HostedModel
from sagelocal_serve.incoming import CUSTOM_ATTRIBUTES, read_request
from sagelocal_serve.interface import Response
from sagelocal_serve.routing import Call, Reply
from sagelocal_serve.settings import Settings

log = logging.getLogger("sagelocal_serve")

CUSTOM_ATTRIBUTES_LIMIT = 1024


class Invoker:
    """A view that lets a bounded number of requests into one hosted model."""

    def __init__(self, hosted: HostedModel, settings: Settings) -> None:
        self._hosted = hosted
        self._settings = settings
        batching = batching_of(hosted.handler, settings)
        self._gate = Gate(max(settings.threads, batching.max_batch_size), settings.queue_size)

    def __call__(self, call: Call) -> Reply:
        """The handler's answer; raises ServeError."""
        request = read_request(call.environ, self._settings)
        about_to_wait = call.environ.get(ABOUT_TO_WAIT)
        self._gate.enter(about_to_wait)
        try:
            self._hosted.await_model(about_to_wait)
            response = self._hosted.handler.handle(request)
            body = response.body
            if not isinstance(body, bytes):
                body = _Stream(body, self._gate)
            reply = reply_of(response, body)
        except ServeError:
            self._gate.leave()
            raise
        except BaseException as error:
            self._gate.leave()
            if not isinstance(error, Exception):
                raise
            log.exception("The model failed on a request")
            raise ModelError(f"The model failed on this request. {describe(error)}") from error
        if isinstance(body, bytes):
            self._gate.leave()
        return reply


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


def reply_of(response: Response, body: bytes | Iterable[bytes]) -> Reply:
    """The response in HTTP, with this body; raises ModelError for improper attributes."""
    attributes = response.custom_attributes
    headers = ((CUSTOM_ATTRIBUTES, _checked(attributes)),) if attributes else ()
    return Reply(body, response.status, str(response.content_type), headers)


def _checked(attributes: str) -> str:
    """What the platform would relay (API reference: InvokeEndpoint); raises ModelError."""
    if len(attributes) > CUSTOM_ATTRIBUTES_LIMIT or not (
        attributes.isascii() and attributes.isprintable()
    ):
        raise ModelError(
            f"The handler's custom attributes are not at most {CUSTOM_ATTRIBUTES_LIMIT} visible "
            "ASCII characters."
        )
    return attributes

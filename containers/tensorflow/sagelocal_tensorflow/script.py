"""The user's inference.py: `handler`, or `input_handler` and `output_handler`.

    def handler(data, context): return body, content_type
    def input_handler(data, context): return body of TensorFlow Serving's REST API
    def output_handler(response, context): return body, content_type

`data` is a stream of the request's bytes, `response` is one of the library `requests` (SageMaker
Python SDK, "Providing Python scripts for pre/post-processing").
"""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import requests
from sagelocal_serve import MediaType, Request, Response, Settings
from sagelocal_serve.media_type import JSON, MediaTypeError
from sagelocal_serve.script.functions import ScriptError
from sagelocal_serve.script.location import Script, find_script, load_script
from sagelocal_serve.script.requirements import install

from sagelocal_tensorflow.attributes import Attributes
from sagelocal_tensorflow.faults import Refused
from sagelocal_tensorflow.loopback import RestServer, answer
from sagelocal_tensorflow.models import Models

log = logging.getLogger("sagelocal_serve")

_LIBRARIES = "lib"
_MODELS_FOLDER = "models"


class Context(NamedTuple):
    """What a handler is told of its request, under the original's names.

    There is no gRPC here: `grpc_port` and `channel` are None.
    """

    model_name: str | None
    model_version: str | None
    method: str | None
    rest_uri: str
    grpc_port: str | None
    channel: object | None
    custom_attributes: str | None
    request_content_type: str
    accept_header: str
    content_length: int


def find(settings: Settings, model_dir: Path) -> Script | None:
    """The model's script, or the one for all models of a multi-model endpoint."""
    script = find_script(settings, model_dir)
    if script is None and settings.multi_model:
        folder = settings.base_dir / _MODELS_FOLDER / "code"
        if (folder / settings.program).is_file():
            return Script(folder / settings.program, folder)
    return script


def install_packages(script: Script, settings: Settings) -> None:
    """Make `code/lib` importable, or install requirements.txt; raises ScriptError."""
    libraries = script.folder / _LIBRARIES
    if libraries.is_dir():
        if script.requirements:
            log.warning("Loading modules of code/lib, ignoring requirements.txt")
        sys.path.insert(0, str(libraries))
    elif script.requirements:
        install(script.requirements, settings)


Handle = Callable[[Any, Context], Any]


class ScriptRunner:
    """Calls a script's handlers, by no more threads at a time than it was written for."""

    def __init__(
        self, script: Script, models: Models, rest: RestServer, name: str | None, threads: int
    ) -> None:
        """`name` is the model's behind a multi-model endpoint. Raises ScriptError."""
        self._models = models
        self._rest = rest
        self._name = name
        self._turn = threading.BoundedSemaphore(threads)
        self._handle = self._handler_of(script)

    def respond(self, request: Request) -> Response:
        """The handler's answer; what it raises is a 500 with its text, as in the original."""
        context = self._context(request)
        with self._turn:
            try:
                found = self._handle(io.BytesIO(request.body), context)
            except Exception as error:
                log.exception("The handler of inference.py failed on a request")
                raise Refused(str(error) or type(error).__name__, 500) from error
        return _response(found, context)

    def _context(self, request: Request) -> Context:
        asked = Attributes.parse(request.custom_attributes)
        name = self._name or asked.model_name
        uri = self._rest.uri(
            name or self._models.default_name, asked.model_version, asked.method or "predict"
        )
        return Context(
            model_name=name,
            model_version=asked.model_version,
            method=asked.method,
            rest_uri=uri,
            grpc_port=None,
            channel=None,
            custom_attributes=request.custom_attributes or None,
            request_content_type=request.headers.get("content-type") or JSON,
            accept_header=request.headers.get("accept") or JSON,
            content_length=len(request.body),
        )

    def _handler_of(self, script: Script) -> Handle:
        module = load_script(script)
        handler: Handle | None = getattr(module, "handler", None)
        if handler is not None:
            return handler
        before = getattr(module, "input_handler", None)
        after = getattr(module, "output_handler", None)
        if before is None or after is None:
            raise ScriptError(
                f"{script.path.name} defines neither handler(data, context) nor both of "
                "input_handler(data, context) and output_handler(response, context). Define them, "
                "or pack no script: SavedModels are served without one."
            )

        def handle(data: Any, context: Context) -> Any:
            return after(self._post(context.rest_uri, before(data, context)), context)

        return handle

    def _post(self, uri: str, data: Any) -> requests.Response:
        """What `requests.post(uri, data=data)` gives, without a way over the network."""
        prepared = requests.Request("POST", uri, data=data).prepare()
        response = requests.Response()
        response.request, response.url = prepared, uri
        response.headers["Content-Type"] = JSON
        response.encoding = "utf-8"
        try:
            content = answer(self._models, uri.removeprefix(self._rest.address), _bytes(prepared))
            response.status_code, response.reason = 200, "OK"
        except Refused as refused:
            content = refused.body()
            response.status_code, response.reason = refused.status, "Error"
        response.raw = io.BytesIO(content)
        return response


def _bytes(prepared: requests.PreparedRequest) -> bytes:
    body: Any = prepared.body
    if body is None:
        return b""
    if hasattr(body, "read"):
        body = body.read()
    elif not isinstance(body, str | bytes):
        body = b"".join(body)
    return body.encode() if isinstance(body, str) else bytes(body)


def _response(found: Any, context: Context) -> Response:
    body, content_type = found, context.accept_header
    if isinstance(found, tuple) and len(found) == 2:
        body, content_type = found
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, bytes | bytearray | memoryview):
        shown = json.dumps(type(body).__name__)
        raise Refused(
            f"The handler of inference.py gave a body of type {shown}: return str or bytes, with "
            "the content type beside it.",
            500,
        )
    return Response(bytes(body), media_type(str(content_type)))


def media_type(text: str) -> MediaType:
    """The first media type of an Accept header; JSON where it names none."""
    first = text.partition(",")[0].strip()
    try:
        return MediaType.parse(JSON if not first or "*" in first else first)
    except MediaTypeError:
        return MediaType.parse(JSON)

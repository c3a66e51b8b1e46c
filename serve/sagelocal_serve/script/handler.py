"""The Handler that runs a user's script: model_fn, input_fn, predict_fn, output_fn."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from sagelocal_serve.charset import decode_text
from sagelocal_serve.errors import ModelError, NotAcceptable, UnsupportedMediaType
from sagelocal_serve.interface import ExecutionParameters, Request, Response
from sagelocal_serve.media_type import CSV, JSON, OCTET_STREAM, MediaType, MediaTypeError
from sagelocal_serve.script.context import Context
from sagelocal_serve.script.functions import Functions, ScriptError, with_context
from sagelocal_serve.script.location import Script, find_script, load_script
from sagelocal_serve.script.originals import is_response, response_of, with_chosen_status
from sagelocal_serve.script.requirements import install
from sagelocal_serve.settings import Settings

# Scripts get these as str and everything else as bytes, as from SageMaker's toolkits.
_TEXT_TYPES = frozenset({CSV, JSON})
_JSON = MediaType.parse(JSON)

# And what an unsupported format is in each of them.
_THREE = {
    "input_fn": UnsupportedMediaType,
    "predict_fn": UnsupportedMediaType,
    "output_fn": NotAcceptable,
}

Call = Callable[..., Any]


class ScriptHandler:
    """Runs the functions of a script, with a framework's defaults for those it leaves out."""

    def __init__(
        self, settings: Settings, defaults: Functions, *, shares_memory: bool = False
    ) -> None:
        self._settings = settings
        self._defaults = defaults
        self._shares_memory = shares_memory
        self._script: Script | None = None
        self._model_dir = settings.model_dir
        self._model: Any = None
        self._transform: Callable[[Request, Context, str], Any] | None = None
        self._execution_parameters_fn: Callable[[], Any] | None = None

    @property
    def shares_memory(self) -> bool:
        return self._shares_memory

    def prepare(self, model_dir: Path) -> None:
        """Find the script and install what it requires."""
        self._script = find_script(self._settings, model_dir)
        if self._script and self._script.requirements:
            install(self._script.requirements, self._settings)

    def load(self, model_dir: Path) -> None:
        """Import the script and let it load the model."""
        own = Functions.of(load_script(self._script)) if self._script else Functions()
        functions = own.over(self._defaults)
        _require(functions, self._script)
        self._model_dir = model_dir
        self._transform = _transformation(functions, lambda: self._model)
        self._execution_parameters_fn = functions.execution_parameters_fn
        context = Context(model_dir)
        if functions.pre_model_fn:
            _call(functions, "pre_model_fn")(str(model_dir), context)
        self._model = _call(functions, "model_fn")(str(model_dir), context)
        if functions.model_warmup_fn:
            _call(functions, "model_warmup_fn")(str(model_dir), self._model, context)

    def handle(self, request: Request) -> Response:
        if self._transform is None:
            raise ModelError("No model is loaded.")
        context = Context(self._model_dir, request)
        accept = JSON if request.accept.is_anything else str(request.accept)
        result = self._transform(request, context, accept)
        return _response(result, accept, context)

    def execution_parameters(self) -> ExecutionParameters | None:
        """What the script's execution_parameters_fn says, a mapping or its JSON text."""
        if self._execution_parameters_fn is None:
            return None
        said = self._execution_parameters_fn()
        wire = json.loads(said) if isinstance(said, str | bytes) else said
        if not isinstance(wire, Mapping):
            raise ModelError(f"execution_parameters_fn gave a {type(said).__name__}, no mapping.")
        usual = ExecutionParameters()
        return ExecutionParameters(
            wire.get("MaxConcurrentTransforms", usual.max_concurrent_transforms),
            wire.get("BatchStrategy", usual.batch_strategy),
            wire.get("MaxPayloadInMB", usual.max_payload_in_mb),
        )


def _require(functions: Functions, script: Script | None) -> None:
    """Raise ScriptError naming all functions that neither the script nor the image defines."""
    names = ["model_fn"] if functions.transform_fn else ["model_fn", *_THREE]
    missing = [name for name in names if getattr(functions, name) is None]
    if not missing:
        return
    if script is None:
        raise ScriptError(
            f"There is no inference.py, and this image has no default for {', '.join(missing)}. "
            "Pack inference.py into the folder code of model.tar.gz."
        )
    raise ScriptError(
        f"{script.path.name} defines no {', '.join(missing)}, and this image has no default for "
        "it: define it there."
    )


def _call(functions: Functions, name: str) -> Call:
    return with_context(name, getattr(functions, name))


def _transformation(
    functions: Functions, model: Callable[[], Any]
) -> Callable[[Request, Context, str], Any]:
    """One request from body to result, by transform_fn or by the three others in a row."""
    if functions.transform_fn:
        transform = with_chosen_status(_call(functions, "transform_fn"), UnsupportedMediaType)
        return lambda request, context, accept: transform(
            model(), _body(request), str(_content_type(request)), accept, context
        )
    read, predict, write = (
        with_chosen_status(_call(functions, name), unsupported)
        for name, unsupported in _THREE.items()
    )

    def in_three_steps(request: Request, context: Context, accept: str) -> Any:
        data = read(_body(request), str(_content_type(request)), context)
        return write(predict(data, model(), context), accept, context)

    return in_three_steps


def _content_type(request: Request) -> MediaType:
    """What the request says it is; one that says nothing is JSON, as in the originals."""
    named = "content-type" in request.headers or request.content_type.essence != OCTET_STREAM
    return request.content_type if named else _JSON


def _body(request: Request) -> bytes | str:
    content_type = _content_type(request)
    if content_type.essence not in _TEXT_TYPES:
        return request.body
    return decode_text(request.body, content_type)


def _response(result: Any, accept: str, context: Context) -> Response:
    if is_response(result):
        return response_of(result)
    content_type = context.get_response_content_type()
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], str):
        result, content_type = result[0], content_type or result[1]
    return Response(
        body=_as_bytes(result),
        content_type=_media_type(content_type or _first_of(accept)),
        custom_attributes=context.response_custom_attributes,
        status=context.response_status,
    )


def _as_bytes(result: Any) -> bytes | Iterable[bytes]:
    if isinstance(result, str):
        return result.encode()
    if isinstance(result, bytes | bytearray | memoryview):
        return bytes(result)
    if hasattr(result, "__next__"):  # a generator: streamed as it is produced
        return (c.encode() if isinstance(c, str) else bytes(c) for c in result)
    if result is not None:
        # As Multi Model Server and TorchServe write what is neither.
        with contextlib.suppress(TypeError, ValueError):
            return json.dumps(result, indent=2).encode()
    raise ModelError(
        f"The script's answer is a {type(result).__name__}. output_fn or transform_fn must return "
        "str, bytes, a generator of them, or what JSON can write (lists, dicts and numbers of "
        "Python), alone or in a pair with the content type."
    )


def _first_of(accept: str) -> str:
    """The content type of an answer that comes without one: the first that was asked for."""
    first = accept.partition(",")[0].partition(";")[0].strip()
    return JSON if "*" in first else first


def _media_type(text: str) -> MediaType:
    try:
        return MediaType.parse(text)
    except MediaTypeError as error:
        raise ModelError(f"The script answers with the content type {text!r}: {error}.") from error

"""The endpoint: SageMaker's requests for SavedModels, with the user's script in between or none.

This module imports TensorFlow; `serving` decides when.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sagelocal_serve import ExecutionParameters, MediaType, ModelError, Request, Response, Settings
from sagelocal_serve.batching import Batching
from sagelocal_serve.charset import decode_text
from sagelocal_serve.errors import ServeError
from sagelocal_serve.media_type import JSON, JSON_LINES
from sagelocal_serve.script.location import Script

from sagelocal_tensorflow import bodies, script
from sagelocal_tensorflow.attributes import Attributes
from sagelocal_tensorflow.faults import Refused
from sagelocal_tensorflow.loopback import RestServer
from sagelocal_tensorflow.models import Models
from sagelocal_tensorflow.options import Options

# Behind a multi-model endpoint a model's archive lies in models/HASH/model, and a model has no
# name of its own for TensorFlow Serving but this.
_ONLY_MODEL = "model"


class TensorFlowHandler:
    """Loads what the archive holds and answers as the original's container does.

    TensorFlow's threads do not survive a fork: every worker loads the models.
    """

    shares_memory = False

    def __init__(self, settings: Settings, options: Options) -> None:
        self._settings = settings
        self._options = options
        self._script: Script | None = None
        self._models: Models | None = None
        self._runner: script.ScriptRunner | None = None

    @property
    def batching(self) -> Batching:
        """How requests are joined: SAGEMAKER_TFS_ENABLE_BATCHING and its like."""
        return self._options.batching

    def use_batching(self, batching: Batching) -> None:
        """Join requests in another way; before the models are loaded."""
        self._options = replace(self._options, batching=batching)

    def prepare(self, model_dir: Path) -> None:
        """Find the script and install what it requires."""
        self._script = script.find(self._settings, model_dir)
        if self._script is not None:
            script.install_packages(self._script, self._settings)

    def load(self, model_dir: Path) -> None:
        """Load the models, then import the script; raises NoSavedModel, ScriptError."""
        name = _ONLY_MODEL if self._settings.multi_model else None
        self._models = Models.load(model_dir, self._options, name)
        if self._script is not None:
            rest = RestServer(self._models, self._settings.safe_port_range)
            self._runner = script.ScriptRunner(
                self._script, self._models, rest, name, self._options.script_threads
            )

    def handle(self, request: Request) -> Response:
        if self._models is None:
            raise ModelError("No model is loaded.")
        try:
            if self._runner is not None:
                return self._runner.respond(request)
            return self._predict(request, self._models)
        except Refused as refused:
            return Response(refused.body(), MediaType.parse(JSON), status=refused.status)

    def execution_parameters(self) -> ExecutionParameters | None:
        """The original says nothing: batch transform takes its defaults."""
        return None

    def _predict(self, request: Request, models: Models) -> Response:
        kind = request.content_type.canonical
        if kind not in bodies.KINDS:
            sent = request.headers.get("content-type", "Unknown")
            raise Refused(
                f"Unsupported Media Type: {sent}. Send {', '.join(bodies.KINDS)}, or define "
                "input_handler in code/inference.py.",
                415,
            )
        try:
            text = decode_text(request.body, request.content_type)
        except ServeError as error:
            raise Refused(error.message, error.status) from error
        asked = Attributes.parse(request.custom_attributes)
        name = None if self._settings.multi_model else asked.model_name
        servable = models.find(name, asked.model_version)
        answer = models.call(asked.method or "predict", servable, bodies.read(text, kind))
        return Response(answer, _content_type(request))


def _content_type(request: Request) -> MediaType:
    """JSON in any case, called JSON Lines where the first of the Accept header is that."""
    accepted = script.media_type(request.headers.get("accept", ""))
    return accepted if accepted.canonical in (JSON, JSON_LINES) else MediaType.parse(JSON)

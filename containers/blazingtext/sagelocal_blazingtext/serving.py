"""Inference: the artifact behind the hosting contract."""

from __future__ import annotations

import json
from pathlib import Path

from sagelocal_serve.codecs.json_lines import encode_json_lines
from sagelocal_serve.errors import BadRequest, ModelError
from sagelocal_serve.interface import ExecutionParameters, Request, Response
from sagelocal_serve.media_type import JSON, MediaType

from sagelocal_blazingtext import models, queries
from sagelocal_blazingtext.models import Answering


class BlazingText:
    """A Handler: labels of texts, or vectors of words.

    Not an Algorithm, because the answer's type is that of the request, whatever Accept says
    (developer guide, "BlazingText algorithm": where they differ, Accept is ignored).
    """

    #: fastText's model only reads its memory: workers may share it.
    shares_memory = True

    def __init__(self) -> None:
        self._model: Answering | None = None

    def prepare(self, model_dir: Path) -> None:
        """There is nothing to do before the model is read."""

    def load(self, model_dir: Path) -> None:
        """Read the artifact; raises ModelError naming what is wrong."""
        try:
            self._model = models.load(model_dir)
        except models.LoadError as error:
            raise ModelError(str(error)) from error

    def handle(self, request: Request) -> Response:
        """Answer one request: a JSON list, or an object to a line."""
        if self._model is None:
            raise ModelError("No model is loaded.")
        if not request.body:
            raise BadRequest("The request has an empty body: send at least one text.")
        asked = queries.decode(request)
        answer = MediaType.parse(asked.answer_type)
        found = self._model.answers(asked.queries)
        if answer.canonical == JSON:
            return Response(json.dumps(found).encode(), answer)
        return Response(encode_json_lines(found), answer)

    def execution_parameters(self) -> ExecutionParameters:
        """Batch transform may send many lines in a request."""
        return ExecutionParameters(batch_strategy="MULTI_RECORD", max_payload_in_mb=6)


def app() -> BlazingText:
    """What SAGEMAKER_SERVING_MODULE names."""
    return BlazingText()

"""Inference: the artifact behind the hosting contract, an image to a request."""

from __future__ import annotations

import json
from pathlib import Path

from sagelocal_serve.algorithm import Algorithm, AlgorithmHandler
from sagelocal_serve.codecs.json_lines import encode_json_lines
from sagelocal_serve.errors import UnsupportedMediaType
from sagelocal_serve.interface import ExecutionParameters, Request
from sagelocal_serve.media_type import (
    IMAGE,
    JPEG,
    JSON,
    JSON_LINES,
    OCTET_STREAM,
    PNG,
    MediaType,
)

from sagelocal_image_classification import predictor
from sagelocal_image_classification.predictor import Predictor

REQUEST_TYPES = (IMAGE, JPEG, PNG)


class ImageClassification(Algorithm[Predictor, bytes, list[float]]):
    """Probabilities of classes."""

    offers = (JSON, JSON_LINES)

    #: MXNet's threads do not survive a fork.
    shares_memory = False

    def load(self, model_dir: Path) -> Predictor:
        """The network; raises ModelError."""
        return predictor.load(model_dir)

    def decode(self, model: Predictor, request: Request) -> bytes:
        """The body as it is: what it holds is seen when it is decoded.

        Clients that name no type send an image: the SDK's default serializer says octet-stream.
        """
        if request.content_type.canonical not in (*REQUEST_TYPES, OCTET_STREAM):
            raise UnsupportedMediaType.of(request.content_type, REQUEST_TYPES)
        return request.body

    def predict(self, model: Predictor, data: bytes) -> list[float]:
        """The probability of each class."""
        return model.answer(data)

    def encode(self, predictions: list[float], answer: MediaType) -> bytes:
        """A JSON list, or a line with the field `prediction`."""
        if answer.canonical == JSON_LINES:
            return encode_json_lines([{"prediction": predictions}])
        return json.dumps(predictions).encode()

    def execution_parameters(self) -> ExecutionParameters:
        """Batch transform sends an image to a request."""
        return ExecutionParameters(batch_strategy="SINGLE_RECORD", max_payload_in_mb=6)


def app() -> AlgorithmHandler[Predictor, bytes, list[float]]:
    """What SAGEMAKER_SERVING_MODULE names."""
    return AlgorithmHandler(ImageClassification())

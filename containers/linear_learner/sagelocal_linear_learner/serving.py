"""Inference: the artifact behind the hosting contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sagelocal_serve.algorithm import Algorithm, AlgorithmHandler
from sagelocal_serve.codecs import PREDICTION_TYPES, decode_features, encode_predictions
from sagelocal_serve.errors import ModelError
from sagelocal_serve.interface import ExecutionParameters, Request
from sagelocal_serve.media_type import MediaType

from sagelocal_linear_learner import artifact
from sagelocal_linear_learner.model import LinearModel

Features = NDArray[np.float32]
Columns = dict[str, NDArray[np.generic]]


class LinearLearner(Algorithm[LinearModel, Features, Columns]):
    """Scores of a linear model."""

    offers = PREDICTION_TYPES

    def load(self, model_dir: Path) -> LinearModel:
        """The model that training left; raises ModelError naming the file that is wrong."""
        try:
            return artifact.load(model_dir)
        except artifact.ArtifactError as error:
            raise ModelError(str(error)) from error

    def decode(self, model: LinearModel, request: Request) -> Features:
        """One row per record, as wide as the model."""
        return decode_features(request.body, request.content_type, width=model.width)

    def predict(self, model: LinearModel, data: Features) -> Columns:
        """`score`, and for classifiers `predicted_label`."""
        scores = model.scores(data)
        columns: Columns = {"score": scores.astype(np.float32)}
        if model.predictor_type != "regressor":
            columns["predicted_label"] = model.labels(scores)
        return columns

    def encode(self, predictions: Columns, answer: MediaType) -> bytes:
        """The answer in the negotiated format."""
        return encode_predictions(predictions, answer)

    def execution_parameters(self) -> ExecutionParameters:
        """Batch transform may send many records in a request."""
        return ExecutionParameters(batch_strategy="MULTI_RECORD", max_payload_in_mb=6)


def app() -> AlgorithmHandler[LinearModel, Features, Columns]:
    """What SAGEMAKER_SERVING_MODULE names."""
    return AlgorithmHandler(LinearLearner())

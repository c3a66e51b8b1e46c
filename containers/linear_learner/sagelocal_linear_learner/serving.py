"""Inference: the artifact behind the hosting contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sagelocal_first_party.serving import Columns, Features, FirstParty, Records
from sagelocal_serve.algorithm import AlgorithmHandler

from sagelocal_linear_learner import artifact
from sagelocal_linear_learner.model import LinearModel


class LinearLearner(FirstParty[LinearModel]):
    """Scores of a linear model."""

    def read(self, model_dir: Path) -> LinearModel:
        return artifact.load(model_dir)

    def width(self, model: LinearModel) -> int:
        return model.width

    def answer(self, model: LinearModel, rows: Features) -> Columns:
        """`score`, and for classifiers `predicted_label`."""
        scores = model.scores(rows)
        columns: Columns = {"score": scores.astype(np.float32)}
        if model.predictor_type != "regressor":
            columns["predicted_label"] = model.labels(scores)
        return columns


def app() -> AlgorithmHandler[LinearModel, Records, Columns]:
    """What SAGEMAKER_SERVING_MODULE names."""
    return AlgorithmHandler(LinearLearner())

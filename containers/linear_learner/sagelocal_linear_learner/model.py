"""A trained model: weights for features as they come, and what its outputs mean.

Predictions are computed in float64 from the artifact's float32 weights and rounded once, so they
agree with MXNet's own within float32's precision, whatever order either adds in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sagelocal_linear_learner.losses import sigmoid
from sagelocal_linear_learner.settings import PredictorType

Link = Literal["identity", "sigmoid", "softmax"]
Floats = NDArray[np.float32]
Vector = NDArray[np.float64]

NEUTRAL_THRESHOLD: dict[Link, float] = {"identity": 0.0, "sigmoid": 0.5, "softmax": 0.5}


@dataclass(frozen=True, slots=True)
class LinearModel:
    """`link(features @ weights.T + bias)`; weights are outputs x width."""

    predictor_type: PredictorType
    weights: Floats
    bias: Floats
    link: Link
    threshold: float = 0.5
    """A binary score of at least this much is labelled 1."""

    @property
    def width(self) -> int:
        return int(self.weights.shape[1])

    def outputs(self, features: NDArray[np.floating]) -> Vector:
        """Before the link: rows x outputs."""
        product: Vector = features.astype(np.float64) @ self.weights.T.astype(np.float64)
        return product + self.bias

    def scores(self, features: NDArray[np.floating]) -> Vector:
        """After the link: one score per row, or one per row and class."""
        outputs = self.outputs(features)
        if self.link == "softmax":
            return _softmax(outputs)
        scores = outputs if self.link == "identity" else _sigmoid(outputs)
        return scores if self.predictor_type == "multiclass_classifier" else scores[:, 0]

    def labels(self, scores: Vector) -> NDArray[np.int64]:
        """The class of each score of a classifier."""
        if self.predictor_type == "multiclass_classifier":
            best: NDArray[np.int64] = np.argmax(scores, axis=1).astype(np.int64)
            return best
        return (scores >= self.threshold).astype(np.int64)


def _sigmoid(outputs: Vector) -> Vector:
    probabilities: Vector = sigmoid(outputs).astype(np.float64, copy=False)
    return probabilities


def _softmax(outputs: Vector) -> Vector:
    exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    normal: Vector = exponentials / exponentials.sum(axis=1, keepdims=True)
    return normal

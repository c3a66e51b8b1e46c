"""The small families as numbers with names: what is written for ONNX, scikit-learn and TensorFlow.

Each function takes what the reader found and raises ModelError where numbers are missing or do not
fit together, NoExport where a model of the family has something that only its image does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sagelocal.models.errors import ModelError, NoExport
from sagelocal.models.model import Model

Floats = NDArray[np.float32]
Link = Literal["identity", "sigmoid", "softmax"]
Labels = Literal["threshold", "highest"]

_LABELS: Mapping[str, Labels] = {
    "binary_classifier": "threshold",
    "multiclass_classifier": "highest",
}
_NEUTRAL = {"identity": 0.0, "sigmoid": 0.5, "softmax": 0.5}


@dataclass(frozen=True)
class Linear:
    """`link(rows @ weights.T + bias)`: outputs x features, and outputs.

    `labels` says what a label is: of a score of at least `threshold`, the number of the highest
    score, or None for a regressor, which has none.
    """

    weights: Floats
    bias: Floats
    link: Link
    labels: Labels | None
    threshold: float

    @property
    def is_neutral(self) -> bool:
        """Whether the threshold is the one that every classifier has."""
        return self.threshold == _NEUTRAL[self.link]


@dataclass(frozen=True)
class Factors:
    """bias + rows @ linear + 1/2 sum((rows @ factors)^2 - rows^2 @ factors^2), then the link.

    `linear` has the shape (features,), `factors` (features, factors).
    """

    bias: float
    linear: Floats
    factors: Floats
    is_binary: bool


@dataclass(frozen=True)
class Components:
    """`(rows - mean) @ components`: (features,) and features x components, the largest last."""

    mean: Floats
    components: Floats
    singular_values: Floats | None


@dataclass(frozen=True)
class Neighbours:
    """Rows that are remembered, with their labels, and how many of the nearest have a say."""

    points: Floats
    labels: Floats
    k: int
    is_classifier: bool
    metric: Literal["L2", "INNER_PRODUCT", "COSINE"]


def linear(model: Model) -> Linear:
    """Linear Learner's."""
    weights = _numbers(model, "fc0_weight")
    bias = _numbers(model, "fc0_bias").reshape(-1) if "fc0_bias" in model.arrays else None
    if bias is None:
        bias = np.zeros(len(weights), np.float32)
    if weights.ndim != 2 or len(bias) != len(weights):
        raise ModelError(f"weights of the shape {weights.shape} do not fit {len(bias)} biases")
    link: Link = model.facts["link"]
    threshold = model.facts.get("threshold")
    if not isinstance(threshold, int | float):
        threshold = _NEUTRAL[link]
    labels = _LABELS.get(model.facts["predictor_type"])
    return Linear(weights, bias, link, labels, float(threshold))


def factors(model: Model) -> Factors:
    """Factorization Machines': of both layouts, as the image reads them."""
    is_new = "w1_weight" not in model.arrays
    prefix = "Linear_Plus_Bias_" if is_new else ""
    found = _numbers(model, "v")
    weights = _numbers(model, f"{prefix}weight" if is_new else "w1_weight").reshape(-1)
    bias = _numbers(model, f"{prefix}bias" if is_new else "w0_weight").reshape(-1)
    found = found.T if is_new else found
    if found.ndim != 2 or len(found) != len(weights) or not bias.size:
        raise ModelError(f"factors of the shape {found.shape} do not fit {len(weights)} weights")
    is_binary = model.facts["predictor_type"] == "binary_classifier"
    return Factors(float(bias[0]), weights, np.ascontiguousarray(found), is_binary)


def components(model: Model) -> Components:
    """PCA's."""
    found, mean = _numbers(model, "v"), _numbers(model, "mean").reshape(-1)
    if found.ndim != 2 or len(found) != len(mean):
        raise ModelError(f"components of the shape {found.shape} do not fit a mean of {len(mean)}")
    values = _numbers(model, "s").reshape(-1) if "s" in model.arrays else None
    return Components(mean, found, values)


def centers(model: Model) -> Floats:
    """K-Means': clusters x features."""
    return _numbers(model, "centers")


def neighbours(model: Model) -> Neighbours:
    """k-NN's."""
    if model.facts.get("dimension_reduction"):
        raise NoExport(
            "rows are reduced by a random projection first (dimension_reduction_type), which only "
            "the image makes; train without it, or serve it with the knn image"
        )
    if "points" not in model.arrays:
        raise NoExport(
            f"its index ({model.facts['index_type']}) finds neighbours by lists, which only faiss "
            "does alike; train with index_type faiss.Flat, or serve it with the knn image"
        )
    k = model.facts["k"]
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise ModelError(f"'k' is {k!r}, not a positive integer")
    points, labels = _numbers(model, "points"), _numbers(model, "labels")
    metric = model.facts["index_metric"]
    if metric not in ("L2", "INNER_PRODUCT", "COSINE") or not len(points):
        raise ModelError(f"{len(points)} rows by {metric} are no neighbours")
    is_classifier = model.facts["predictor_type"] == "classifier"
    return Neighbours(points, labels, min(k, len(points)), is_classifier, metric)


def _numbers(model: Model, name: str) -> Floats:
    found: Any = model.arrays.get(name)
    if not isinstance(found, np.ndarray):
        held = ", ".join(model.arrays) or "nothing"
        raise ModelError(f"{model.because} has no numbers {name!r}; it holds {held}")
    return found.astype(np.float32)

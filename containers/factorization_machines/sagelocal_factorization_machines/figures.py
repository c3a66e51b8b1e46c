"""How far scores are from labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sagelocal_first_party import Metric

from sagelocal_factorization_machines.model import THRESHOLD

Vector = NDArray[np.float64]
_LEAST = 1e-8


def figures(scores: Vector, labels: Vector, is_binary: bool) -> list[Metric]:
    """A regressor's errors; a classifier's accuracy, cross entropy and F1."""
    if not is_binary:
        errors = scores - labels
        mse = float(np.square(errors).mean())
        return [
            Metric("rmse", mse**0.5, "loss"),
            Metric("mse", mse, "loss"),
            Metric("absolute_loss", float(np.abs(errors).mean()), "loss"),
        ]
    called = scores >= THRESHOLD
    positive = labels > 0
    likely = np.clip(np.where(positive, scores, 1 - scores), _LEAST, 1)
    hits = int((called & positive).sum())
    together = int(called.sum() + positive.sum())
    return [
        Metric("binary_classification_accuracy", float((called == positive).mean()), "score"),
        Metric("binary_classification_cross_entropy", float(-np.log(likely).mean()), "loss"),
        Metric("binary_f_1.000", 2 * hits / together if together else 0.0, "score"),
    ]

"""What scores are worth on labelled data: 1 is an anomaly, 0 is none.

Rows whose score is more than three standard deviations above the mean score of all rows are called
anomalies (developer guide, "Tune an RCF Model"). The name `f1` is from there; what the original
calls the other figures is documented nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sagelocal_first_party import Metric

from sagelocal_random_cut_forest.hyperparameters import ACCURACY, PRECISION_RECALL_FSCORE

_DEVIATIONS = 3


def figures(
    scores: NDArray[np.floating], labels: NDArray[np.float64], names: Sequence[str]
) -> list[Metric]:
    """The figures that are asked for."""
    numbers = scores.astype(np.float64)
    called = numbers > numbers.mean() + _DEVIATIONS * numbers.std()
    anomalous = labels > 0
    found = []
    if ACCURACY in names:
        found.append(Metric("accuracy", float((called == anomalous).mean()), "score"))
    if PRECISION_RECALL_FSCORE in names:
        found += _of_class(called, anomalous, "") + _of_class(~called, ~anomalous, "negative_")
    return found


def _of_class(called: NDArray[np.bool_], true: NDArray[np.bool_], prefix: str) -> list[Metric]:
    """Precision, recall and F1 of a class; 0 where nothing is called or nothing is true."""
    hits = int((called & true).sum())
    parts = {
        "precision": (hits, int(called.sum())),
        "recall": (hits, int(true.sum())),
        "f1": (2 * hits, int(called.sum() + true.sum())),
    }
    return [
        Metric(prefix + name, part / whole if whole else 0.0, "score")
        for name, (part, whole) in parts.items()
    ]

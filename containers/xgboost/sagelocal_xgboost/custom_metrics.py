"""The metrics that XGBoost does not have itself: accuracy, balanced_accuracy, f1, ..., mse, r2.

They are scikit-learn's by their definitions; `f1` is the macro average
(sagemaker-xgboost-container, metrics/custom_metrics.py). Classes come from a table of counts and
errors from sums, so several hosts add theirs up and print the values of the whole data set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray
from xgboost import collective

Floats = NDArray[np.float64]


class MetricError(ValueError):
    """A metric that this objective's predictions have no value of; the text is scikit-learn's."""


@dataclass(frozen=True, slots=True)
class CustomMetrics:
    """XGBoost's `custom_metric` for the metrics that it does not have itself."""

    names: tuple[str, ...]
    objective: str
    num_class: int | None

    def __call__(self, predictions: NDArray[Any], data: xgboost.DMatrix) -> list[tuple[str, float]]:
        """Name and value of each, over all hosts."""
        labels = data.get_label().astype(np.float64)
        values: dict[str, float] = {}
        if any(name in _OF_CLASSES for name in self.names):
            found = classes_of(predictions, self.objective)
            table = _over_all_hosts(_confusion(labels, found, self.num_class))
            values |= {n: _OF_CLASSES[n](table) for n in self.names if n in _OF_CLASSES}
        if any(name in _OF_NUMBERS for name in self.names):
            sums = _over_all_hosts(_sums(labels, predictions.astype(np.float64)))
            values |= {n: _OF_NUMBERS[n](sums) for n in self.names if n in _OF_NUMBERS}
        return [(name, values[name]) for name in self.names]


def classes_of(predictions: NDArray[Any], objective: str) -> NDArray[np.int64]:
    """The class that each prediction means."""
    if predictions.ndim > 1:
        return np.asarray(predictions.argmax(axis=1), np.int64)
    if objective == "multi:softmax":
        return predictions.astype(np.int64)
    threshold = 0.0 if objective == "binary:logitraw" else 0.5
    return np.asarray(predictions > threshold, np.int64)


def _confusion(labels: Floats, found: NDArray[np.int64], num_class: int | None) -> Floats:
    """How often each class (row) was found as which (column)."""
    size = num_class or 2
    known = labels.astype(np.int64)
    if (known != labels).any() or known.min(initial=0) < 0 or known.max(initial=0) >= size:
        raise MetricError(
            "Classification metrics can't handle these labels: they must be whole numbers from 0 "
            f"to {size - 1}. Choose an eval_metric of regression, such as rmse or r2"
        )
    table = np.zeros((size, size))
    np.add.at(table, (known, found), 1)
    return table


def _sums(labels: Floats, predictions: Floats) -> Floats:
    """Rows, sums of labels and of their squares, sum of squared errors."""
    return np.array(
        [len(labels), labels.sum(), np.square(labels).sum(), np.square(labels - predictions).sum()]
    )


def _over_all_hosts(counts: Floats) -> Floats:
    if not collective.is_distributed():
        return counts
    total: Floats = collective.allreduce(counts.ravel(), collective.Op.SUM)
    return total.reshape(counts.shape)


def _accuracy(table: Floats) -> float:
    return _ratio(np.trace(table), table.sum())


def _balanced_accuracy(table: Floats) -> float:
    present = table.sum(axis=1) > 0
    recalls = np.diag(table)[present] / table.sum(axis=1)[present]
    return float(recalls.mean()) if len(recalls) else 0.0


def _precisions(table: Floats) -> Floats:
    return _ratios(np.diag(table), table.sum(axis=0))


def _recalls(table: Floats) -> Floats:
    return _ratios(np.diag(table), table.sum(axis=1))


def _f1s(table: Floats) -> Floats:
    return _ratios(2 * np.diag(table), table.sum(axis=0) + table.sum(axis=1))


def _macro(scores: Callable[[Floats], Floats]) -> Callable[[Floats], float]:
    """The mean over the classes that occur as labels or predictions."""

    def mean(table: Floats) -> float:
        present = table.sum(axis=0) + table.sum(axis=1) > 0
        return float(scores(table)[present].mean()) if present.any() else 0.0

    return mean


def _binary(scores: Callable[[Floats], Floats]) -> Callable[[Floats], float]:
    """The score of class 1."""

    def score(table: Floats) -> float:
        if len(table) > 2:
            raise MetricError(
                "Target is multiclass but average='binary'. Please choose another average "
                "setting: the metrics f1_macro, precision_macro, recall_macro"
            )
        return float(scores(table)[1])

    return score


def _mse(sums: Floats) -> float:
    return _ratio(sums[3], sums[0])


def _r2(sums: Floats) -> float:
    rows, total, squares, errors = sums.tolist()
    spread = squares - total * total / rows if rows else 0.0
    if spread <= 0:
        return 1.0 if errors == 0 else 0.0
    return 1.0 - float(errors) / float(spread)


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator else 0.0


def _ratios(numerator: Floats, denominator: Floats) -> Floats:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)


_OF_CLASSES: dict[str, Callable[[Floats], float]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1": _macro(_f1s),
    "f1_binary": _binary(_f1s),
    "f1_macro": _macro(_f1s),
    "precision": _binary(_precisions),
    "precision_macro": _macro(_precisions),
    "precision_micro": _accuracy,
    "recall": _binary(_recalls),
    "recall_macro": _macro(_recalls),
    "recall_micro": _accuracy,
}
_OF_NUMBERS: dict[str, Callable[[Floats], float]] = {"mse": _mse, "r2": _r2}

"""Labels that an objective can learn from, checked before training and said in XGBoost's words.

The library says only that some label is wrong; here the file, the row and the value are said too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagelocal_xgboost.data import Dataset
from sagelocal_xgboost.declarations import UserError

Labels = NDArray[np.float32]

_LOGISTIC = "label must be in [0,1] for logistic regression"


def check(dataset: Dataset, objective: str, num_class: int | None) -> None:
    """Raise UserError naming the first row whose label the objective does not take."""
    found = _RULES.get(objective)
    if found is None:
        return
    said, rule = found
    bad = np.flatnonzero(~rule(dataset.labels, num_class))
    if not bad.size:
        return
    row = int(bad[0])
    raise UserError(
        f"{said}: {dataset.place(row)} has the label {dataset.labels[row]:g}"
        f"{_hint(objective, num_class)}"
    )


def _hint(objective: str, num_class: int | None) -> str:
    if objective.startswith("multi:"):
        return f" and num_class is {num_class}. Number the classes from 0, or raise num_class"
    if objective in ("binary:logistic", "binary:logitraw", "binary:hinge", "reg:logistic"):
        return f". Write the classes as 0 and 1, or choose another objective than {objective}"
    return f". Leave the row out, or choose another objective than {objective}"


def _share(labels: Labels, num_class: int | None) -> Any:
    return (labels >= 0) & (labels <= 1)


def _classes(labels: Labels, num_class: int | None) -> Any:
    return (labels >= 0) & (labels < (num_class or 0)) & (labels == np.floor(labels))


def _nonnegative(labels: Labels, num_class: int | None) -> Any:
    return labels >= 0


def _positive(labels: Labels, num_class: int | None) -> Any:
    return labels > 0


def _above_minus_one(labels: Labels, num_class: int | None) -> Any:
    return labels > -1


Rule = Callable[[Labels, int | None], Any]

_RULES: dict[str, tuple[str, Rule]] = {
    "binary:logistic": (_LOGISTIC, _share),
    "binary:logitraw": (_LOGISTIC, _share),
    "reg:logistic": (_LOGISTIC, _share),
    "binary:hinge": ("label must be in [0,1] for hinge loss", _share),
    "multi:softmax": ("label must be in [0, num_class)", _classes),
    "multi:softprob": ("label must be in [0, num_class)", _classes),
    "count:poisson": ("PoissonRegression: label must be nonnegative", _nonnegative),
    "reg:tweedie": ("TweedieRegression: label must be nonnegative", _nonnegative),
    "reg:gamma": ("GammaRegression: label must be positive", _positive),
    "reg:squaredlogerror": (
        "label must be greater than -1 for rmsle so that log(label + 1) can be valid",
        _above_minus_one,
    ),
    "survival:aft": ("label of survival:aft must be nonnegative", _nonnegative),
}

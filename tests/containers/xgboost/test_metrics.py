"""The metrics beyond XGBoost's own, against scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st
from sagelocal_xgboost import metrics
from sagelocal_xgboost.custom_metrics import CustomMetrics, MetricError
from sklearn import metrics as reference

CLASSIFICATION: dict[str, Callable[[Any, Any], float]] = {
    "accuracy": reference.accuracy_score,
    "balanced_accuracy": reference.balanced_accuracy_score,
    "f1": lambda y, p: reference.f1_score(y, p, average="macro", zero_division=0),
    "f1_macro": lambda y, p: reference.f1_score(y, p, average="macro", zero_division=0),
    "precision_macro": lambda y, p: reference.precision_score(
        y, p, average="macro", zero_division=0
    ),
    "precision_micro": lambda y, p: reference.precision_score(y, p, average="micro"),
    "recall_macro": lambda y, p: reference.recall_score(y, p, average="macro", zero_division=0),
    "recall_micro": lambda y, p: reference.recall_score(y, p, average="micro"),
}
BINARY: dict[str, Callable[[Any, Any], float]] = {
    "f1_binary": lambda y, p: reference.f1_score(y, p, zero_division=0),
    "precision": lambda y, p: reference.precision_score(y, p, zero_division=0),
    "recall": lambda y, p: reference.recall_score(y, p, zero_division=0),
}


def _found(
    names: Any, objective: str, predictions: Any, labels: Any, num_class: int | None = None
) -> dict[str, float]:
    data = xgboost.DMatrix(np.zeros((len(labels), 1)), labels)
    return dict(CustomMetrics(tuple(names), objective, num_class)(np.asarray(predictions), data))


# scikit-learn warns of classes without labels, which are no error here.
@pytest.mark.filterwarnings("ignore")
@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=20))
def test_binary_classes(rows: list[tuple[int, float]]) -> None:
    labels, predictions = map(np.array, zip(*rows, strict=True))
    classes = (predictions > 0.5).astype(int)
    known = CLASSIFICATION | BINARY
    found = _found(known, "binary:logistic", predictions, labels)
    expected = {name: score(labels, classes) for name, score in known.items()}
    assert found == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore")
@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=20))
def test_several_classes(rows: list[tuple[int, int]]) -> None:
    labels, classes = map(np.array, zip(*rows, strict=True))
    expected = {name: score(labels, classes) for name, score in CLASSIFICATION.items()}
    assert _found(expected, "multi:softprob", np.eye(4)[classes], labels, 4) == pytest.approx(
        expected
    )
    softmax = _found(expected, "multi:softmax", classes.astype(float), labels, 4)
    assert softmax == pytest.approx(expected)


def test_a_raw_score_is_class_1_above_zero() -> None:
    assert _found(["accuracy"], "binary:logitraw", [-0.1, 0.2], [0, 1]) == {"accuracy": 1.0}


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=2, max_size=20))
def test_numbers(rows: list[tuple[float, float]]) -> None:
    labels, predictions = (np.array(column, np.float32) for column in zip(*rows, strict=True))
    labels[0], labels[1] = 1, 2
    found = _found(["mse", "r2"], "reg:squarederror", predictions, labels)
    mse = reference.mean_squared_error(labels, predictions)
    r2 = reference.r2_score(labels.astype(float), predictions.astype(float))
    assert found == pytest.approx({"mse": mse, "r2": r2}, rel=1e-4, abs=1e-6)


def test_binary_averages_of_several_classes_are_refused_in_sklearns_words() -> None:
    with pytest.raises(MetricError, match="Target is multiclass but average='binary'"):
        _found(["f1_binary"], "multi:softmax", [0.0, 2.0], [0, 2], 3)


def test_classes_of_labels_that_are_none_are_refused() -> None:
    with pytest.raises(MetricError, match="Choose an eval_metric of regression"):
        _found(["accuracy"], "reg:squarederror", [0.5], [17.5])


def test_each_metric_that_the_library_lacks_is_computed() -> None:
    assert set(metrics.CUSTOM) == {*CLASSIFICATION, *BINARY, "mse", "r2"}
    assert set(metrics.CUSTOM) < set(metrics.NAMES)

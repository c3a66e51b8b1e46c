"""The predictors at the end of a pipeline, by the names of MLeap's operations.

Each reads the vector at its port `features` and writes the columns at its ports `prediction`,
`raw_prediction` and `probability`, those of them that the pipeline keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sagelocal_sparkml_serving import frame, trees
from sagelocal_sparkml_serving.bundle import Array, BundleError, Stage
from sagelocal_sparkml_serving.frame import Row, Step

_FEATURES, _PREDICTION = "features", "prediction"
_RAW, _PROBABILITY = "raw_prediction", "probability"


def linear_regression(stage: Stage) -> Step:
    coefficients = stage.numbers("coefficients")
    intercept = stage.number("intercept", default=0.0)
    return _regressor(
        stage, lambda value: float(value @ coefficients) + intercept, len(coefficients)
    )


def logistic_regression(stage: Stage) -> Step:
    if stage.has("coefficient_matrix"):
        matrix = stage.matrix("coefficient_matrix")
        intercepts = stage.numbers("intercept_vector")

        def margins(value: Array) -> Array:
            return np.asarray(matrix @ value + intercepts)

        if len(matrix) > 1:
            return _classifier(stage, margins, _softmax, matrix.shape[1])
        return _binary(stage, lambda value: float(margins(value)[0]), matrix.shape[1])
    coefficients = stage.numbers("coefficients")
    intercept = stage.number("intercept", default=0.0)
    return _binary(stage, lambda value: float(value @ coefficients) + intercept, len(coefficients))


def decision_tree_regression(stage: Stage) -> Step:
    tree = trees.read(stage.folder)
    return _regressor(stage, lambda value: float(tree.leaf(value)[0]), _width(stage))


def random_forest_regression(stage: Stage) -> Step:
    forest, _ = trees.read_all(stage)
    return _regressor(
        stage, lambda value: float(np.mean([tree.leaf(value)[0] for tree in forest])), _width(stage)
    )


def gbt_regression(stage: Stage) -> Step:
    return _regressor(stage, _boosted(stage), _width(stage))


def decision_tree_classifier(stage: Stage) -> Step:
    tree = trees.read(stage.folder)
    return _classifier(stage, tree.leaf, _shares, _width(stage))


def random_forest_classifier(stage: Stage) -> Step:
    forest, weights = trees.read_all(stage)

    def votes(value: Array) -> Array:
        found = [_shares(tree.leaf(value)) * w for tree, w in zip(forest, weights, strict=True)]
        return np.asarray(np.sum(found, axis=0))

    return _classifier(stage, votes, _shares, _width(stage))


def gbt_classifier(stage: Stage) -> Step:
    margin = _boosted(stage)

    def raw(value: Array) -> Array:
        found = margin(value)
        return np.array([-found, found])

    # The loss has a factor of two (Spark ML guide, "Gradient-boosted trees").
    return _classifier(stage, raw, lambda found: _sigmoids(2.0 * found[1]), _width(stage))


def k_means(stage: Stage) -> Step:
    written = stage.attributes.get("cluster_centers")
    if not written:
        raise BundleError(f"{stage} has no attribute 'cluster_centers'.")
    centres = np.asarray([list(each) for each in written], dtype=np.float64)

    def nearest(value: Array) -> int:
        return int(np.argmin(((centres - value) ** 2).sum(axis=1)))

    return _regressor(stage, nearest, centres.shape[1])


STAGES: Mapping[str, Callable[[Stage], Step]] = {
    "decision_tree_classifier": decision_tree_classifier,
    "decision_tree_regression": decision_tree_regression,
    "gbt_classifier": gbt_classifier,
    "gbt_regression": gbt_regression,
    "k_means": k_means,
    "linear_regression": linear_regression,
    "logistic_regression": logistic_regression,
    "random_forest_classifier": random_forest_classifier,
    "random_forest_regression": random_forest_regression,
}


def _regressor(stage: Stage, predict: Callable[[Array], Any], width: int) -> Step:
    source, target = stage.input(_FEATURES), stage.output(_PREDICTION)

    def step(row: Row) -> None:
        row[target] = predict(frame.vector(row, source, width))

    return step


def _classifier(
    stage: Stage,
    raw_of: Callable[[Array], Array],
    probability_of: Callable[[Array], Array],
    width: int,
) -> Step:
    """Several classes; with thresholds the class that exceeds its own by the largest factor."""
    source, target = stage.input(_FEATURES), stage.output(_PREDICTION)
    raw_column, column = stage.maybe_output(_RAW), stage.maybe_output(_PROBABILITY)
    thresholds = stage.numbers("thresholds") if stage.attributes.get("thresholds") else None

    def step(row: Row) -> None:
        raw = raw_of(frame.vector(row, source, width))
        probability = probability_of(raw)
        if raw_column:
            row[raw_column] = raw
        if column:
            row[column] = probability
        scaled = raw if thresholds is None else _scaled(probability, thresholds)
        row[target] = float(np.argmax(scaled))

    return step


def _binary(stage: Stage, margin_of: Callable[[Array], float], width: int) -> Step:
    """Two classes with one threshold for the second one's probability."""
    source, target = stage.input(_FEATURES), stage.output(_PREDICTION)
    raw_column, column = stage.maybe_output(_RAW), stage.maybe_output(_PROBABILITY)
    threshold = _threshold(stage)

    def step(row: Row) -> None:
        margin = margin_of(frame.vector(row, source, width))
        probability = _sigmoids(margin)
        if raw_column:
            row[raw_column] = np.array([-margin, margin])
        if column:
            row[column] = probability
        row[target] = 1.0 if probability[1] > threshold else 0.0

    return step


def _threshold(stage: Stage) -> float:
    if stage.attributes.get("thresholds"):
        first, second = stage.numbers("thresholds")
        return float(1 / (1 + first / second)) if second else 1.0
    return stage.number("threshold", default=0.5)


def _boosted(stage: Stage) -> Callable[[Array], float]:
    forest, weights = trees.read_all(stage)

    def margin(value: Array) -> float:
        return float(sum(w * tree.leaf(value)[0] for tree, w in zip(forest, weights, strict=True)))

    return margin


def _scaled(probability: Array, thresholds: Array) -> Array:
    zero = np.where(probability == 0, 0.0, np.inf)
    return np.where(thresholds == 0, zero, probability / np.where(thresholds == 0, 1, thresholds))


def _sigmoids(margin: float) -> Array:
    second = 1.0 / (1.0 + np.exp(-margin))
    return np.array([1.0 - second, second])


def _softmax(margins: Array) -> Array:
    powers = np.exp(margins - margins.max())
    return np.asarray(powers / powers.sum())


def _shares(values: Array) -> Array:
    total = values.sum()
    return np.asarray(values / total if total else values)


def _width(stage: Stage) -> int:
    return int(stage.number("num_features"))

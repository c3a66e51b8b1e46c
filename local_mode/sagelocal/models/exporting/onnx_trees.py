"""XGBoost's models in ONNX: all trees are one TreeEnsembleRegressor, and the objective's function.

    data (N x features) -> prediction (N, or N x outputs)

A missing value is NaN and goes the way that training chose, as in XGBoost. Of a training that was
stopped early the trees up to the best iteration count, as in the image. onnxmltools has a converter
too; of boosters it takes gbtree only, and its answers of binary:hinge are sums of leaves.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagelocal.models.errors import ModelError, NoExport
from sagelocal.models.exporting.onnx_graph import ML, GraphBuilder
from sagelocal.models.model import Model

_Floats = NDArray[np.float32]
_LEAF = -1
_NO_FORM = "export it --to xgboost, which loses nothing"


def _logit(score: float) -> float:
    return -math.log(1 / score - 1)


def _same(score: float) -> float:
    return score


@dataclass(frozen=True)
class _Function:
    """What an objective does: to the base score before trees add to it, and to their sum."""

    margin: Callable[[float], float] = _same
    op: str = ""


# PredTransform and ProbToMargin of the objectives in XGBoost's src/objective.
_FUNCTIONS: Mapping[str, _Function] = {
    **dict.fromkeys(("binary:logistic", "reg:logistic"), _Function(_logit, "Sigmoid")),
    "binary:hinge": _Function(op="Hinge"),
    **dict.fromkeys(
        ("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft"),
        _Function(math.log, "Exp"),
    ),
    "multi:softprob": _Function(op="Softmax"),
    "multi:softmax": _Function(op="ArgMax"),
    **dict.fromkeys(
        (
            *("reg:squarederror", "reg:linear", "reg:squaredlogerror", "reg:pseudohubererror"),
            *("reg:absoluteerror", "reg:quantileerror", "reg:expectileerror"),
            *("rank:pairwise", "rank:ndcg", "rank:map", "binary:logitraw"),
        ),
        _Function(),
    ),
}


def booster(model: Model, graph: GraphBuilder) -> None:
    """prediction; raises NoExport for trees that ONNX's operator cannot be."""
    try:
        _booster(model.content["learner"], graph)
    except (KeyError, TypeError, ValueError, IndexError, ArithmeticError) as error:
        raise ModelError(
            f"it is no whole model of XGBoost: {type(error).__name__} {error}"
        ) from error


def _booster(learner: Mapping[str, Any], graph: GraphBuilder) -> None:
    parameters = learner["learner_model_param"]
    features = int(parameters["num_feature"])
    outputs = max(int(parameters.get("num_class", 0)), int(parameters.get("num_target", 1)), 1)
    objective = learner["objective"]["name"]
    function = _FUNCTIONS.get(objective)
    if function is None:
        raise NoExport(f"the objective {objective!r} has no form in ONNX here; {_NO_FORM}")
    margins = _margins(parameters["base_score"], function, outputs)
    part = learner["gradient_booster"]
    rows = graph.input("data", (None, features))
    if part["name"] == "gblinear":
        weights = np.asarray(part["model"]["weights"], np.float32).reshape(features + 1, outputs)
        # Of several base scores it adds the first to all outputs (PredictBatchInternal, 3.2).
        sums = _linear(graph, rows, weights, margins[0])
    else:
        sums = _trees(graph, rows, _forest(part, _rounds(learner), outputs), margins)
    _answer(graph, sums, function.op, outputs)


def _margins(said: Any, function: _Function, outputs: int) -> list[float]:
    """The base score, "5E-1" or since XGBoost 3.1 "[5E-1]", as what trees add to."""
    found = json.loads(said) if isinstance(said, str) else said
    scores = [float(score) for score in (found if isinstance(found, list) else [found])]
    margins = [function.margin(score) for score in scores]
    return margins * outputs if len(margins) == 1 else margins


def _answer(graph: GraphBuilder, sums: str, op: str, outputs: int) -> None:
    if op == "ArgMax":
        best = graph.add("ArgMax", sums, axis=1, keepdims=0)
        graph.output("prediction", graph.add("Cast", best, to=1), (None,))
        return
    if op == "Hinge":
        sums = graph.add("Cast", graph.add("Greater", sums, graph.constant("zero", 0.0)), to=1)
    elif op:
        sums = graph.add(op, sums)
    if outputs == 1:
        column = graph.integers("column", 1)
        graph.output("prediction", graph.add("Squeeze", sums, column), (None,))
    else:
        graph.output("prediction", sums, (None, outputs))


def _linear(graph: GraphBuilder, rows: str, weights: _Floats, margin: float) -> str:
    """Weights of features, the last of them added to every row; a missing value adds nothing."""
    zero = graph.constant("nothing", 0.0)
    present = graph.add("Where", graph.add("IsNaN", rows), zero, rows)
    bias = weights[-1] + np.float32(margin)
    return graph.add(
        "Gemm", present, graph.constant("weights", weights[:-1]), graph.constant("bias", bias)
    )


@dataclass(frozen=True)
class _Tree:
    """One tree, what its leaves are multiplied with, and which output they add to."""

    document: Mapping[str, Any]
    weight: float
    output: int


def _rounds(learner: Mapping[str, Any]) -> int | None:
    """How many rounds count; None for all."""
    best = str(dict(learner.get("attributes") or {}).get("best_iteration", ""))
    return int(best) + 1 if best.isdigit() else None


def _forest(part: Mapping[str, Any], rounds: int | None, outputs: int) -> list[_Tree]:
    is_dart = part["name"] == "dart"
    forest = (part["gbtree"] if is_dart else part)["model"]
    count = len(forest["trees"])
    if rounds is not None and "iteration_indptr" in forest:
        count = int(forest["iteration_indptr"][rounds])
    elif rounds is not None:
        parallel = int(forest["gbtree_model_param"].get("num_parallel_tree", 1))
        count = rounds * outputs * max(parallel, 1)
    weights = part["weight_drop"] if is_dart else [1.0] * len(forest["trees"])
    trees = zip(forest["trees"], weights, forest["tree_info"], strict=True)
    return [_Tree(tree, float(weight), int(info)) for tree, weight, info in trees][:count]


def _trees(graph: GraphBuilder, rows: str, trees: list[_Tree], margins: Sequence[float]) -> str:
    if not trees:
        return graph.add(
            "Expand",
            graph.constant("base", np.array([margins], np.float32)),
            _one_each(graph, rows),
        )
    lists: dict[str, Any] = {}
    for number, tree in enumerate(trees):
        for name, values in _nodes_of(tree.document, number).items():
            lists.setdefault(f"nodes_{name}", []).extend(values)
        for name, values in _leaves_of(tree, number).items():
            lists.setdefault(f"target_{name}", []).extend(values)
    return graph.add(
        "TreeEnsembleRegressor",
        rows,
        name="trees",
        domain=ML,
        n_targets=len(margins),
        aggregate_function="SUM",
        base_values=list(margins),
        **lists,
    )


def _one_each(graph: GraphBuilder, rows: str) -> str:
    """The shape N x 1."""
    count = graph.add("Gather", graph.add("Shape", rows), graph.integers("first", 0), axis=0)
    return graph.add("Concat", count, graph.integers("one", 1), axis=0)


def _nodes_of(tree: Mapping[str, Any], number: int) -> dict[str, list[Any]]:
    if np.any(tree.get("split_type", 0)):
        raise NoExport(f"trees that split by categories have no form in ONNX here; {_NO_FORM}")
    if int(tree["tree_param"].get("size_leaf_vector", 1)) > 1:
        raise NoExport(f"trees with several outputs in a leaf have no form in ONNX; {_NO_FORM}")
    left, right = np.asarray(tree["left_children"]), np.asarray(tree["right_children"])
    is_leaf = left == _LEAF
    count = len(left)
    return {
        "treeids": [number] * count,
        "nodeids": list(range(count)),
        "featureids": np.where(is_leaf, 0, np.asarray(tree["split_indices"])).tolist(),
        "modes": np.where(is_leaf, "LEAF", "BRANCH_LT").tolist(),
        "values": np.where(is_leaf, 0, _float32(tree["split_conditions"])).tolist(),
        "truenodeids": np.where(is_leaf, 0, left).tolist(),
        "falsenodeids": np.where(is_leaf, 0, right).tolist(),
        "missing_value_tracks_true": np.asarray(tree["default_left"], np.int64).tolist(),
    }


def _leaves_of(tree: _Tree, number: int) -> dict[str, list[Any]]:
    places = np.flatnonzero(np.asarray(tree.document["left_children"]) == _LEAF)
    values = _float32(tree.document["split_conditions"])[places] * np.float32(tree.weight)
    return {
        "treeids": [number] * len(places),
        "nodeids": places.tolist(),
        "ids": [tree.output] * len(places),
        "weights": values.tolist(),
    }


def _float32(values: Any) -> _Floats:
    return np.asarray(values, np.float32)

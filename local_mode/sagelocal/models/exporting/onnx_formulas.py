"""The small families in ONNX: matrix products and what goes with them.

All numbers are float32, as in the artifacts; answers differ from the images' by what float32 loses
in another order of sums. The input is `data`, rows of features.
"""

from __future__ import annotations

import numpy as np

from sagelocal.models.exporting import formulas
from sagelocal.models.exporting.formulas import Floats, Linear
from sagelocal.models.exporting.onnx_graph import GraphBuilder
from sagelocal.models.model import Model

_LINKS = {"sigmoid": "Sigmoid", "softmax": "Softmax"}


def linear(model: Model, graph: GraphBuilder) -> None:
    """score, and predicted_label of a classifier."""
    found = formulas.linear(model)
    outputs, features = found.weights.shape
    rows = graph.input("data", (None, features))
    scores = graph.add(
        "Gemm", rows, graph.constant("weights", found.weights.T), graph.constant("bias", found.bias)
    )
    if found.link in _LINKS:
        scores = graph.add(_LINKS[found.link], scores)
    if found.labels != "highest":
        scores = _column(graph, scores)
    graph.output("score", scores, (None,) if found.labels != "highest" else (None, outputs))
    if found.labels is not None:
        graph.output("predicted_label", _label(graph, found, scores), (None,), is_label=True)


def _label(graph: GraphBuilder, found: Linear, scores: str) -> str:
    if found.labels == "highest":
        return graph.add("ArgMax", scores, axis=1, keepdims=0)
    threshold = graph.constant("threshold", found.threshold)
    return graph.add("Cast", graph.add("GreaterOrEqual", scores, threshold), to=_INT64)


def factors(model: Model, graph: GraphBuilder) -> None:
    """score, and predicted_label of a classifier."""
    found = formulas.factors(model)
    rows = graph.input("data", (None, len(found.linear)))
    plain = graph.add("MatMul", rows, graph.constant("linear", found.linear[:, None]))
    plain = graph.add("Add", plain, graph.constant("bias", found.bias))
    sums = graph.add("MatMul", rows, graph.constant("factors", found.factors))
    squares = graph.add(
        "MatMul",
        graph.add("Mul", rows, rows),
        graph.constant("squared_factors", np.square(found.factors)),
    )
    pairs = graph.add("Sub", graph.add("Mul", sums, sums), squares)
    pairs = graph.add("ReduceSum", pairs, graph.integers("axis", 1), keepdims=1)
    pairs = graph.add("Mul", pairs, graph.constant("half", 0.5))
    scores = graph.add("Add", plain, pairs)
    if found.is_binary:
        scores = graph.add("Sigmoid", scores)
    scores = _column(graph, scores)
    graph.output("score", scores, (None,))
    if found.is_binary:
        above = graph.add("GreaterOrEqual", scores, graph.constant("threshold", 0.5))
        label = graph.add("Cast", above, to=_INT64)
        graph.output("predicted_label", label, (None,), is_label=True)


def components(model: Model, graph: GraphBuilder) -> None:
    """projection, the largest component last, as the image answers."""
    found = formulas.components(model)
    rows = graph.input("data", (None, len(found.mean)))
    centred = graph.add("Sub", rows, graph.constant("mean", found.mean))
    projection = graph.add("MatMul", centred, graph.constant("v", found.components))
    graph.output("projection", projection, (None, found.components.shape[1]))


def centers(model: Model, graph: GraphBuilder) -> None:
    """closest_cluster, and distance_to_cluster."""
    found = formulas.centers(model)
    rows = graph.input("data", (None, found.shape[1]))
    # Near one another, squares of distances by products are what is left of large numbers.
    shift = found.mean(axis=0)
    squares = _squares(graph, graph.add("Sub", rows, graph.constant("shift", shift)), found - shift)
    closest = graph.add("ArgMin", squares, axis=1, keepdims=0)
    away = graph.add(
        "Sub", rows, graph.add("Gather", graph.constant("centers", found), closest, axis=0)
    )
    distance = graph.add("ReduceL2", away, axes=[1], keepdims=0)
    graph.output("closest_cluster", closest, (None,), is_label=True)
    graph.output("distance_to_cluster", distance, (None,))


def neighbours(model: Model, graph: GraphBuilder) -> None:
    """predicted_label: of a regressor the mean, of a classifier what most say."""
    found = formulas.neighbours(model)
    rows = graph.input("data", (None, found.points.shape[1]))
    if found.metric == "L2":
        shift = found.points.mean(axis=0)
        moved = graph.add("Sub", rows, graph.constant("shift", shift))
        distances = _squares(graph, moved, found.points - shift)
    else:
        # The length of a row changes nothing in the order of its neighbours.
        points = graph.constant("points", found.points.T)
        distances = graph.add("Neg", graph.add("MatMul", rows, points))
    nearest = graph.add(
        "TopK", distances, graph.integers("k", found.k), outputs=2, axis=1, largest=0, sorted=1
    )
    labels = graph.add("Gather", graph.constant("labels", found.labels), f"{nearest}:1", axis=0)
    label = _majority(graph, labels) if found.is_classifier else _mean(graph, labels)
    graph.output("predicted_label", label, (None,))


def _squares(graph: GraphBuilder, rows: str, points: Floats) -> str:
    """Squares of distances, rows x points, less what is the same for all points of a row."""
    products = graph.add("MatMul", rows, graph.constant("points", -2 * points.T))
    lengths = np.einsum("ij,ij->i", points, points, dtype=np.float64).astype(np.float32)
    return graph.add("Add", products, graph.constant("lengths", lengths))


def _majority(graph: GraphBuilder, labels: str) -> str:
    """The most frequent label of each row; of several, that of the nearest neighbour."""
    ones, others = graph.integers("last", 2), graph.integers("middle", 1)
    same = graph.add(
        "Equal", graph.add("Unsqueeze", labels, ones), graph.add("Unsqueeze", labels, others)
    )
    votes = graph.add("ReduceSum", graph.add("Cast", same, to=_FLOAT), ones, keepdims=0)
    place = graph.add("ArgMax", votes, axis=1, keepdims=1)
    return _column(graph, graph.add("GatherElements", labels, place, axis=1))


def _mean(graph: GraphBuilder, labels: str) -> str:
    return graph.add("ReduceMean", labels, axes=[1], keepdims=0)


def _column(graph: GraphBuilder, values: str) -> str:
    """The numbers of a matrix of one column."""
    return graph.add("Squeeze", values, graph.integers("column", 1))


# TensorProto's numbers for them.
_FLOAT, _INT64 = 1, 7

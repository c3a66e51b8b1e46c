"""ONNX: one file that its many runtimes open. Needs the package onnx."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from sagelocal.models.exporting import onnx_formulas, onnx_networks, onnx_trees
from sagelocal.models.exporting.onnx_graph import OPSET, GraphBuilder
from sagelocal.models.exporting.written import Written, write
from sagelocal.models.model import Model

#: What adds a family's inputs, operators and outputs to a graph.
FAMILIES: Mapping[str, Callable[[Model, GraphBuilder], None]] = {
    "linear-learner": onnx_formulas.linear,
    "factorization-machines": onnx_formulas.factors,
    "pca": onnx_formulas.components,
    "kmeans": onnx_formulas.centers,
    "knn": onnx_formulas.neighbours,
    "xgboost": onnx_trees.booster,
    "image-classification": onnx_networks.network,
    "mxnet": onnx_networks.network,
}


def export(model: Model, output: Path) -> Written:
    """Write the graph; raises ModelError."""
    family = model.family or ""
    graph = GraphBuilder(family)
    FAMILIES[family](model, graph)
    write(output, graph.model(model.says, {"family": family}))
    return Written(output, f"ONNX of opset {OPSET}: {graph.signature()}")

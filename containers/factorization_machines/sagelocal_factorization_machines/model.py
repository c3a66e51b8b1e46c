"""The model and its archive `model_HOST`, which notebooks open with MXNet.

    score(x) = bias + sum_i linear_i x_i + sum_{i<j} <factors_i, factors_j> x_i x_j

The last sum is 1/2 sum_f ((sum_i factors_if x_i)^2 - sum_i factors_if^2 x_i^2): S. Rendle,
"Factorization Machines" (2010), lemma 3.1. A classifier's answer is the sigmoid of the score.

The archive is a ZIP:

    symbol.json    the graph: data -> out
    params         arg:w0_weight (1 x 1), arg:w1_weight (features x 1), arg:v (features x factors)
    meta.json      {"training_parameters": {"feature_dim": "100", ...}}

Newer originals have `Linear_Plus_Bias_weight` (1 x features), `Linear_Plus_Bias_bias` and
`v` (factors x features) instead; both are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sagelocal_first_party import ArtifactError, artifact
from sagelocal_formats import FormatError, mxnet_ndarray, mxnet_symbol
from sagelocal_formats.mxnet_symbol import Symbol, SymbolBuilder
from sagelocal_formats.rows import SparseRows

from sagelocal_factorization_machines.hyperparameters import BINARY
from sagelocal_factorization_machines.tables import Floats, Indices, Table, summed_in_order

SYMBOL, PARAMS, META = "symbol.json", "params", "meta.json"
THRESHOLD = 0.5
_SIGMOIDS = ("sigmoid", "LogisticRegressionOutput")


@dataclass(frozen=True, slots=True)
class FactorModel:
    """`bias` has the shape (1,), `linear` (features,), `factors` (features, factors)."""

    is_binary: bool
    bias: Floats
    linear: Floats
    factors: Floats

    @property
    def width(self) -> int:
        return len(self.linear)

    def scores(self, rows: Floats | SparseRows) -> Floats:
        """A regressor's numbers, a classifier's probabilities of 1."""
        if isinstance(rows, SparseRows):
            return self._of_entries(rows.distinct())
        sums = rows @ self.factors
        squares = np.square(rows) @ np.square(self.factors)
        pairs = (np.square(sums) - squares).sum(axis=1) / 2
        return self._answered(self.bias[0] + rows @ self.linear + pairs)

    def _of_entries(self, rows: SparseRows) -> Floats:
        parts = self.factors.take(rows.keys, axis=0)
        parts *= rows.values[:, None]
        owners = np.repeat(np.arange(len(rows)), np.diff(rows.indptr))
        alone = self.linear[rows.keys] * rows.values - np.einsum("ij,ij->i", parts, parts) / 2
        sums = summed_in_order(owners, len(rows), parts)
        raw = np.bincount(owners, alone, len(rows)) + np.square(sums).sum(axis=1) / 2
        return self._answered(self.bias[0] + raw.astype(np.float32))

    def scores_of(self, table: Table, features: Indices, own: Floats, sums: Floats) -> Floats:
        """The same of a table of rows over some features; `own` are their factors, and `sums` the
        table's times those."""
        pairs = (np.square(sums).sum(axis=1) - table.squares_times(np.square(own).sum(axis=1))) / 2
        return self._answered(self.bias[0] + table.times(self.linear[features]) + pairs)

    def _answered(self, raw: Floats) -> Floats:
        return sigmoid(raw) if self.is_binary else raw


def sigmoid(scores: Floats) -> Floats:
    """1 / (1 + exp(-scores)), with no overflow."""
    one = np.float32(1)
    result: Floats = one / (one + np.exp(-np.clip(scores, -80, 80)))
    return result


def save(model: FactorModel, archive: Path, parameters: Mapping[str, str]) -> None:
    """Write the archive; `parameters` are the job's hyperparameters as texts."""
    arrays = {
        "arg:v": model.factors,
        "arg:w0_weight": model.bias.reshape(1, 1),
        "arg:w1_weight": model.linear.reshape(-1, 1),
    }
    members = {
        META: json.dumps({"training_parameters": dict(parameters)}).encode(),
        PARAMS: mxnet_ndarray.dumps(arrays),
        SYMBOL: graph(model.is_binary).dumps().encode(),
    }
    artifact.pack(archive, members)


def graph(is_binary: bool) -> Symbol:
    """The formula as a graph of MXNet."""
    builder = SymbolBuilder()
    data, bias, linear, factors = (
        builder.variable(name) for name in ("data", "w0_weight", "w1_weight", "v")
    )
    weighted = builder.operator("dot", "linear", [data, linear])
    plain = builder.operator("broadcast_add", "linear_and_bias", [weighted, bias])
    sums = builder.operator("dot", "sums", [data, factors])
    squared_sums = builder.operator("square", "squared_sums", [sums])
    squared_data = builder.operator("square", "squared_data", [data])
    squared_factors = builder.operator("square", "squared_factors", [factors])
    squares = builder.operator("dot", "squares", [squared_data, squared_factors])
    both = builder.operator("elemwise_sub", "both", [squared_sums, squares])
    summed = builder.operator("sum", "summed", [both], {"axis": "1", "keepdims": "True"})
    pairs = builder.operator("_mul_scalar", "pairs", [summed], {"scalar": "0.5"})
    score = builder.operator("elemwise_add", "score", [plain, pairs])
    return builder.build([builder.operator("sigmoid" if is_binary else "_copy", "out", [score])])


def load(folder: Path) -> FactorModel:
    """The model of a model folder; raises ArtifactError."""
    archive = artifact.found(folder)
    files = artifact.unpacked(archive)
    for needed in (SYMBOL, PARAMS):
        if needed not in files:
            held = ", ".join(sorted(files)) or "nothing"
            raise ArtifactError(f"{archive.name} has no {needed}; it holds {held}")
    try:
        symbol = mxnet_symbol.loads(files[SYMBOL], f"{archive.name}/{SYMBOL}")
        arrays = mxnet_ndarray.loads(files[PARAMS], f"{archive.name}/{PARAMS}").by_name()
        meta = json.loads(files.get(META, b"{}"))
    except (FormatError, ValueError) as error:
        raise ArtifactError(f"{archive.name} cannot be read: {error}") from error
    named = {name.removeprefix("arg:"): array for name, array in arrays.items()}
    return _model(named, _is_binary(symbol, meta), archive.name)


def _is_binary(symbol: Symbol, meta: Any) -> bool:
    given = meta.get("training_parameters") if isinstance(meta, dict) else None
    if isinstance(given, dict) and "predictor_type" in given:
        return bool(given["predictor_type"] == BINARY)
    return symbol.nodes[symbol.heads[0].node].op in _SIGMOIDS


def _model(arrays: Mapping[str, NDArray[Any]], is_binary: bool, name: str) -> FactorModel:
    linear = arrays.get("w1_weight", arrays.get("Linear_Plus_Bias_weight"))
    bias = arrays.get("w0_weight", arrays.get("Linear_Plus_Bias_bias"))
    factors = arrays.get("v")
    if linear is None or bias is None or factors is None or factors.ndim != 2 or not bias.size:
        raise ArtifactError(
            f"{name} lacks the bias, the weights or the factors (w0_weight, w1_weight, v); it "
            f"holds {', '.join(sorted(arrays)) or 'nothing'}"
        )
    if "w1_weight" not in arrays:
        factors = factors.T
    if len(factors) != linear.size:
        raise ArtifactError(
            f"{name} has {linear.size} weights, and factors of the shape {factors.shape}"
        )
    return FactorModel(
        is_binary,
        bias.reshape(-1)[:1].astype(np.float32),
        linear.reshape(-1).astype(np.float32),
        np.ascontiguousarray(factors, np.float32),
    )

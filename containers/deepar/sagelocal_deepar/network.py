"""The network in MXNet, its loss, and the file pair that MXNet loads again.

An LSTM over the steps of a window; at each it sees earlier values, features and embeddings of
categories, and says the parameters of the likelihood of the value there. Lagged values also reach
the first parameter directly, so that "as a day ago" need not be learned by the cells.

Only this module needs MXNet; `forecaster` runs the same network in numpy.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import mxnet as mx
from mxnet import gluon

from sagelocal_deepar.hyperparameters import Likelihood
from sagelocal_deepar.network_arrays import PREFIX
from sagelocal_deepar.shape import Shape

_CLOSE = 1e-3


class Network(gluon.HybridBlock):  # type: ignore[misc]
    """Lagged values and features of (steps, windows, ...), and where there are categories those of
    (windows, ...), to parameters of (steps, windows, outputs)."""

    def __init__(self, shape: Shape, dropout: float) -> None:
        super().__init__(prefix=PREFIX)
        self._shape = shape
        with self.name_scope():
            self.embeddings = []
            for number, count in enumerate(shape.cardinality):
                embedding = gluon.nn.Embedding(
                    count, shape.embedding_dimension, prefix=f"embedding{number}_"
                )
                self.register_child(embedding)
                self.embeddings.append(embedding)
            self.lstm = gluon.rnn.LSTM(
                shape.num_cells,
                shape.num_layers,
                dropout=dropout if shape.num_layers > 1 else 0.0,
                input_size=shape.inputs,
                prefix="lstm_",
            )
            self.dropout = gluon.nn.Dropout(dropout)
            self.output = gluon.nn.Dense(
                shape.outputs, flatten=False, in_units=shape.num_cells, prefix="output_"
            )
            self.direct = gluon.nn.Dense(
                1, flatten=False, use_bias=False, in_units=shape.lag_inputs, prefix="direct_",
                weight_initializer=mx.init.Zero(),
            )  # fmt: skip

    def hybrid_forward(self, F: Any, lagged: Any, features: Any, categories: Any = None) -> Any:
        """The parameters before they are bent to their ranges."""
        inputs = [lagged, features]
        for number, embedding in enumerate(self.embeddings):
            chosen = F.slice_axis(categories, axis=1, begin=number, end=number + 1)
            vector = F.transpose(embedding(chosen), axes=(1, 0, 2))
            inputs.append(F.broadcast_like(vector, lagged, lhs_axes=(0,), rhs_axes=(0,)))
        cells = self.dropout(self.lstm(F.concat(*inputs, dim=2)))
        parameters = self.output(cells)
        direct = self.direct(lagged)
        if self._shape.outputs == 1:
            return parameters + direct
        first = F.slice_axis(parameters, axis=2, begin=0, end=1)
        rest = F.slice_axis(parameters, axis=2, begin=1, end=self._shape.outputs)
        return F.concat(first + direct, rest, dim=2)


def losses(likelihood: Likelihood, raw: Any, target: Any, scale: Any) -> Any:
    """The negative log likelihood of each scaled value, up to the scale's own logarithm.

    `raw` has the parameters last; for counts `target` is not scaled, and `scale` is 1 + their mean.
    """
    F = mx.nd
    first = raw.slice_axis(axis=2, begin=0, end=1).squeeze(axis=2)
    if likelihood == "deterministic-L1":
        return F.abs(target - first)
    second = F.Activation(raw.slice_axis(axis=2, begin=1, end=2).squeeze(axis=2), "softrelu")
    if likelihood == "gaussian":
        width = second + _CLOSE
        return F.log(width) + 0.5 * math.log(2 * math.pi) + 0.5 * F.square((target - first) / width)
    if likelihood == "student-T":
        width = second + _CLOSE
        freedom = 2 + F.Activation(
            raw.slice_axis(axis=2, begin=2, end=3).squeeze(axis=2), "softrelu"
        )
        half = (freedom + 1) / 2
        return (
            F.gammaln(freedom / 2) - F.gammaln(half)
            + 0.5 * F.log(math.pi * freedom) + F.log(width)
            + half * F.log1p(F.square((target - first) / width) / freedom)
        )  # fmt: skip
    if likelihood == "beta":
        mean = _CLOSE / 2 + (1 - _CLOSE) * F.sigmoid(first)
        concentration = second + 0.1
        a, b = mean * concentration, (1 - mean) * concentration
        inside = F.clip(target, _CLOSE, 1 - _CLOSE)
        return (
            F.gammaln(a) + F.gammaln(b) - F.gammaln(concentration)
            - (a - 1) * F.log(inside) - (b - 1) * F.log(1 - inside)
        )  # fmt: skip
    mean = scale * (F.Activation(first, "softrelu") + 1e-5)
    dispersion = second / F.sqrt(scale) + 1e-4
    shape = 1 / dispersion
    spread = F.log1p(dispersion * mean)
    return (
        F.gammaln(shape) + F.gammaln(target + 1) - F.gammaln(target + shape)
        + shape * spread - target * (F.log(dispersion * mean) - spread)
    )  # fmt: skip


def save(network: Network, prefix: Path) -> None:
    """Write PREFIX-symbol.json and PREFIX-0000.params."""
    network.export(str(prefix), epoch=0)

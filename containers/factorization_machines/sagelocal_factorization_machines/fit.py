"""Training: gradients of batches of sparse rows, on the weights that these rows touch.

A batch's entries are laid out over the features that occur in it, which are few among millions, so
that sums over features are matrix products. A batch whose rows have many features is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sagelocal_first_party import Dataset, Group
from sagelocal_first_party.rows import as_sparse
from sagelocal_formats.record_protobuf import SparseRows

from sagelocal_factorization_machines.adam import Adam
from sagelocal_factorization_machines.hyperparameters import PartSettings, Settings
from sagelocal_factorization_machines.model import FactorModel, sigmoid

Floats = NDArray[np.float32]
Vector = NDArray[np.float64]

_SEED = 1
_MOST_CELLS = 1 << 22


@dataclass(frozen=True, slots=True)
class Epoch:
    """What an epoch saw: the score of every row as it was before its batch's update."""

    number: int
    scores: Vector
    labels: Vector
    batches: int


def fit(
    data: Dataset, settings: Settings, group: Group, report: Callable[[Epoch], None]
) -> FactorModel:
    """The trained model; hosts take the mean of theirs after every epoch."""
    random = np.random.default_rng(_SEED)
    model = _beginning(settings, random)
    optimizers = [
        _adam(values, part, settings)
        for values, part in (
            (model.bias.reshape(1, 1), settings.bias),
            (model.linear.reshape(-1, 1), settings.linear),
            (model.factors, settings.factors),
        )
    ]
    rows = as_sparse(data.rows)
    order_random = np.random.default_rng([_SEED, group.resources.hosts.index(_host(group))])
    for epoch in range(settings.epochs):
        order = order_random.permutation(len(data))
        scores = np.empty(len(data))
        starts = range(0, len(order), settings.mini_batch_size)
        for start in starts:
            batch = order[start : start + settings.mini_batch_size]
            scores[batch] = _step(model, optimizers, rows, batch, data.labels[batch], settings)
        report(Epoch(epoch, scores, data.labels, len(starts)))
        _take_means(model, group)
    return model


def _host(group: Group) -> str:
    return group.resources.current_host


def _take_means(model: FactorModel, group: Group) -> None:
    if group.size == 1:
        return
    values = (model.bias, model.linear, model.factors)
    for value, total in zip(values, group.sum(*values), strict=True):
        value[:] = total / np.float32(group.size)


def _beginning(settings: Settings, random: np.random.Generator) -> FactorModel:
    width, factors = settings.feature_dim, settings.num_factors
    return FactorModel(
        settings.is_binary,
        _drawn(settings.bias, (1,), random),
        _drawn(settings.linear, (width,), random),
        _drawn(settings.factors, (width, factors), random),
    )


def _drawn(part: PartSettings, shape: tuple[int, ...], random: np.random.Generator) -> Floats:
    if part.method == "constant":
        return np.full(shape, part.value, np.float32)
    if part.method == "uniform":
        return random.uniform(-part.scale, part.scale, shape).astype(np.float32)
    return random.standard_normal(shape, np.float32) * np.float32(part.sigma)


def _adam(values: Floats, part: PartSettings, settings: Settings) -> Adam:
    return Adam(values, part.rate, part.decay, settings.eps, settings.clip_gradient)


def _step(
    model: FactorModel,
    optimizers: list[Adam],
    rows: SparseRows,
    batch: NDArray[np.int64],
    labels: Vector,
    settings: Settings,
) -> Vector:
    """Update the model by a batch; its scores before."""
    scale = settings.rescale_grad if settings.rescale_grad is not None else 1 / len(batch)
    touched = np.unique(_entries(rows, batch)[1])
    bias = np.zeros((1, 1), np.float32)
    linear = np.zeros((len(touched), 1), np.float32)
    factors = np.zeros((len(touched), settings.num_factors), np.float32)
    scores = np.empty(len(batch))
    for begin, end in _cuts(rows, batch):
        features, table = _laid_out(rows, batch[begin:end])
        own = model.factors[features]
        sums = table @ own
        pairs = (np.square(sums) - np.square(table) @ np.square(own)).sum(axis=1) / 2
        raw: Floats = model.bias[0] + table @ model.linear[features] + pairs
        scored = sigmoid(raw) if settings.is_binary else raw
        scores[begin:end] = scored
        # Of the cross entropy and of half the square alike.
        error = ((scored - labels[begin:end]) * scale).astype(np.float32)
        places = np.searchsorted(touched, features)
        bias[0, 0] += error.sum()
        linear[places, 0] += table.T @ error
        weighted = table * error[:, None]
        squares = (weighted * table).sum(axis=0)
        factors[places] += weighted.T @ sums - squares[:, None] * own
    optimizers[0].step(np.zeros(1, np.int64), bias)
    optimizers[1].step(touched, linear)
    optimizers[2].step(touched, factors)
    return scores


def _cuts(rows: SparseRows, batch: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """The batch in pieces whose tables are not too large, a row at least."""
    lengths = rows.indptr[batch + 1] - rows.indptr[batch]
    begin = entries = 0
    for end, length in enumerate(lengths.tolist()):
        if end > begin and (entries + length) * (end + 1 - begin) > _MOST_CELLS:
            yield begin, end
            begin, entries = end, 0
        entries += length
    yield begin, len(batch)


def _entries(
    rows: SparseRows, batch: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Of all entries of these rows: the place of the row in the batch, the feature, the value."""
    starts = rows.indptr[batch]
    lengths = rows.indptr[batch + 1] - starts
    owners = np.repeat(np.arange(len(batch)), lengths)
    offsets = np.arange(len(owners)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    at = np.repeat(starts, lengths) + offsets
    return owners, rows.keys[at].astype(np.int64), rows.values[at].astype(np.float32)


def _laid_out(rows: SparseRows, batch: NDArray[np.int64]) -> tuple[NDArray[np.int64], Floats]:
    """The features that occur in these rows, and a table of the rows over them."""
    owners, keys, values = _entries(rows, batch)
    features, places = np.unique(keys, return_inverse=True)
    table = np.zeros((len(batch), len(features)), np.float32)
    table[owners, places] = values
    return features, table

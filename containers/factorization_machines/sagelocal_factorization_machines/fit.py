"""Training: Adam on the weights that a batch of sparse rows touches, batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sagelocal_first_party import Dataset, Group
from sagelocal_first_party.rows import as_sparse

from sagelocal_factorization_machines.adam import Adam
from sagelocal_factorization_machines.compiled import INSTALLED, Kernel
from sagelocal_factorization_machines.gradients import Batches, NumpyBatches, Vector
from sagelocal_factorization_machines.hyperparameters import PartSettings, Settings
from sagelocal_factorization_machines.model import FactorModel
from sagelocal_factorization_machines.tables import Floats, Indices

_SEED = 1


@dataclass(frozen=True, slots=True)
class Epoch:
    """What an epoch saw: the score of every row as it was before its batch's update."""

    number: int
    scores: Vector
    labels: Vector
    batches: int


def fit(
    data: Dataset,
    settings: Settings,
    group: Group,
    report: Callable[[Epoch], None],
    kernel: Kernel | None = INSTALLED,
) -> FactorModel:
    """The trained model; hosts take the mean of theirs after every epoch."""
    random = np.random.default_rng(_SEED)
    model = _beginning(settings, random)
    adam = [
        _adam(values, part, settings, kernel)
        for values, part in (
            (model.bias.reshape(1, 1), settings.bias),
            (model.linear.reshape(-1, 1), settings.linear),
            (model.factors, settings.factors),
        )
    ]
    rows = as_sparse(data.rows).distinct()
    batches = NumpyBatches(model, rows) if kernel is None else kernel.batches(model, rows)
    order_random = np.random.default_rng([_SEED, group.resources.hosts.index(_host(group))])
    for epoch in range(settings.epochs):
        order = order_random.permutation(len(data))
        scores = np.empty(len(data))
        starts = range(0, len(order), settings.mini_batch_size)
        for start in starts:
            batch = order[start : start + settings.mini_batch_size]
            scores[batch] = _step(batches, adam, batch, data.labels[batch], settings)
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


def _adam(values: Floats, part: PartSettings, settings: Settings, kernel: Kernel | None) -> Adam:
    return Adam(values, part.rate, part.decay, settings.eps, settings.clip_gradient, kernel)


def _step(
    batches: Batches,
    adam: list[Adam],
    batch: Indices,
    labels: Vector,
    settings: Settings,
) -> Vector:
    """Update the model by a batch; its scores before."""
    scale = settings.rescale_grad if settings.rescale_grad is not None else 1 / len(batch)
    found = batches.gradients(batch, labels, scale)
    adam[0].step(np.zeros(1, np.int64), found.bias)
    adam[1].step(found.touched, found.linear)
    adam[2].step(found.touched, found.factors)
    return found.scores

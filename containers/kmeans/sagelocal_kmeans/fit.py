"""The whole of training: first centres, a stream of batches, k centres, and a look at all rows.

    sample of all hosts' rows -> K = k * extra_center_factor centres      (on the first host)
    every host streams its rows through centres of its own
    the centres of all hosts, weighted -> k centres                       (on the first host)
    one more pass over all rows moves those to their rows' means

Hosts that were given different kinds of rows do not disturb one another that way: nothing is
averaged that does not belong together.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sagelocal_first_party import Dataset, Group
from sagelocal_train.errors import UserError

from sagelocal_kmeans.distances import Floats, Vector, assign, sums
from sagelocal_kmeans.hyperparameters import Settings
from sagelocal_kmeans.lloyd import Outcome, shrink
from sagelocal_kmeans.model import Clusters
from sagelocal_kmeans.seeding import choose
from sagelocal_kmeans.streaming import Stream

SEED = 20171129

# First centres are chosen among so many times as many rows at least.
_SAMPLED_PER_CENTER = 3

# Rows of a pass that nothing but sums is made of.
_PASS_CELLS = 1 << 20


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told what happens, for the log."""

    epoch: Callable[[int, float], None] = lambda epoch, seconds: None
    shrinking: Callable[[int], None] = lambda centers: None
    trial: Callable[[int, Outcome], None] = lambda trial, outcome: None


def fit(train: Dataset, settings: Settings, group: Group, watch: Watch | None = None) -> Clusters:
    """The clusters of all hosts' rows, on every host; raises UserError for too few rows."""
    watch = watch or Watch()
    random = np.random.default_rng([SEED, group.rank])
    shift, centers = _beginning(train, settings, group, random)
    stream = Stream.beginning(centers, settings.half_life_time_size)
    for epoch in range(settings.epochs):
        started = time.monotonic()
        for batch in train.batches(settings.mini_batch_size):
            batch -= shift
            stream.take(batch)
        watch.epoch(epoch, time.monotonic() - started)
    centers = _shrunk(stream, settings, group, random, watch)
    return Clusters(_moved(train, centers + shift, group))


def _beginning(
    train: Dataset, settings: Settings, group: Group, random: np.random.Generator
) -> tuple[Floats, Floats]:
    """About the mean of all rows, and the first centres around it, the same on every host."""
    wanted = settings.k * settings.extra_center_factor
    size = min(len(train), max(settings.mini_batch_size, _SAMPLED_PER_CENTER * wanted))
    sample = train.rows.take(np.sort(random.choice(len(train), size, replace=False)))
    samples = group.gather(sample, np.array(len(train)))
    if not group.is_first:
        shift, centers, rows = group.broadcast()
        _check_rows(int(rows), settings)
        return shift, centers
    # A host with more rows has more of a say.
    points = np.concatenate([sampled for sampled, _ in samples])
    weights = np.concatenate([np.full(len(some), int(n) / len(some)) for some, n in samples])
    total = int(weights.sum().round())
    shift = np.average(points, axis=0, weights=weights).astype(np.float32)
    points -= shift
    count = min(wanted, len(points))
    centers = choose(points, weights, count, settings.init_method, random)
    group.broadcast(shift, centers, np.array(total))
    _check_rows(total, settings)
    return shift, centers


def _check_rows(rows: int, settings: Settings) -> None:
    if rows < settings.k:
        raise UserError(
            f"'k' is {settings.k} and the channel 'train' has {rows} rows: there cannot be more "
            "clusters than rows; lower 'k' or train on more rows"
        )


def _shrunk(
    stream: Stream, settings: Settings, group: Group, random: np.random.Generator, watch: Watch
) -> Floats:
    """k centres of the streams of all hosts."""
    gathered = group.gather(stream.centers, stream.weights)
    if not group.is_first:
        return group.broadcast()[0]
    centers = np.concatenate([centers for centers, _ in gathered])
    weights: Vector = np.concatenate([weights for _, weights in gathered])
    used = weights > 0
    centers, weights = centers[used], weights[used]
    if len(centers) != settings.k:
        watch.shrinking(len(centers))
        centers = shrink(centers, weights, settings, random, watch.trial).centers
    return group.broadcast(centers)[0]


def _moved(train: Dataset, centers: Floats, group: Group) -> Floats:
    """One step of Lloyd's method over all rows of all hosts."""
    shift = centers.mean(axis=0)
    weights, totals = np.zeros(len(centers)), np.zeros(centers.shape)
    for batch in train.batches(max(1, _PASS_CELLS // train.rows.width)):
        batch -= shift
        part = sums(batch, assign(batch, centers - shift).labels, len(centers))
        weights += part.weights
        totals += part.totals
    weights, totals = group.sum(weights, totals)
    moved = centers - shift
    filled = weights > 0
    moved[filled] = totals[filled] / weights[filled, None]
    result: Floats = moved + shift
    return result


def sum_of_squares(dataset: Dataset, model: Clusters) -> float:
    """The sum of rows' squared distances to their cluster's centre."""
    return sum(
        float(model.closest(batch).squares.sum(dtype=np.float64))
        for batch in dataset.batches(max(1, _PASS_CELLS // model.width))
    )

"""Normalisation: learn means and deviations from the first rows, train on scaled values, and give
back weights for the values as they came.

    features   x' = (x - mean) / deviation        label   y' = (y - mean) / deviation

A linear model of x' is a linear model of x, so serving never scales anything: `fold` moves the
numbers into the weights. A column that does not vary is left at its scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sagelocal_first_party.hosts import ALONE, Group
from sagelocal_first_party.rows import Floats, Rows

Vector = NDArray[np.float64]

# A deviation this small against the values is rounding noise of float32 input.
_NOISE = 1e-7


@dataclass(frozen=True, slots=True)
class Scale:
    """Shift and factor of one or several columns."""

    mean: Vector
    deviation: Vector

    @staticmethod
    def identity(width: int) -> Scale:
        return Scale(np.zeros(width), np.ones(width))


@dataclass(frozen=True, slots=True)
class Scaler:
    """The scales of features and label."""

    features: Scale
    label: Scale

    def scale_features(self, batch: Floats) -> Floats:
        """Scale a batch in place."""
        batch -= self.features.mean.astype(np.float32)
        batch /= self.features.deviation.astype(np.float32)
        return batch

    def scale_labels(self, labels: Vector) -> Vector:
        scaled: Vector = (labels - self.label.mean) / self.label.deviation
        return scaled

    def fold(self, weights: Vector, bias: Vector) -> tuple[Vector, Vector]:
        """Weights (outputs x width) and bias (outputs) for unscaled features and labels."""
        factor = float(self.label.deviation[0])
        unscaled = weights / self.features.deviation * factor
        return unscaled, bias * factor + self.label.mean - unscaled @ self.features.mean


def feature_scale(
    rows: Rows, points: int, *, normalize: bool, unbias: bool, group: Group = ALONE
) -> Scale:
    """The scale of the features, from the first `points` rows of all hosts together."""
    if not (normalize or unbias):
        return Scale.identity(rows.width)
    points = _share(points, group)
    count, mean, squares = 0, np.zeros(rows.width), np.zeros(rows.width)
    for start in range(0, min(points, len(rows)), 4096):
        part = rows.part(start, min(start + 4096, points)).astype(np.float64)
        # Chan's update: sums of squares around the mean, without cancellation.
        part_mean = part.mean(axis=0)
        shift = part_mean - mean
        total = count + len(part)
        squares += ((part - part_mean) ** 2).sum(axis=0) + shift**2 * (count * len(part) / total)
        mean += shift * (len(part) / total)
        count = total
    mean, variance = _pooled(count, mean, squares, group)
    return _scale(mean, variance, normalize=normalize, unbias=unbias)


def label_scale(
    labels: Vector, points: int, *, normalize: bool, unbias: bool, group: Group = ALONE
) -> Scale:
    """The scale of the label, from the first `points` labels of all hosts together."""
    sample = labels[: _share(points, group)]
    squares = np.array([sample.var() * len(sample)])
    mean, variance = _pooled(len(sample), np.array([sample.mean()]), squares, group)
    return _scale(mean, variance, normalize=normalize, unbias=unbias)


def _share(points: int, group: Group) -> int:
    """How many of so many rows each host looks at."""
    return -(-points // group.size)


def _pooled(count: int, mean: Vector, squares: Vector, group: Group) -> tuple[Vector, Vector]:
    """Mean and variance over the hosts, from each one's rows and squares around its own mean."""
    if group.size == 1:
        return mean, squares / max(count, 1)
    total, sums = group.sum(np.array(float(count)), count * mean)
    everyones: Vector = sums / max(float(total), 1.0)
    (around,) = group.sum(squares + count * (mean - everyones) ** 2)
    return everyones, around / max(float(total), 1.0)


def _scale(mean: Vector, variance: Vector, *, normalize: bool, unbias: bool) -> Scale:
    # Without a shift the deviation is that from zero: scaled values are then of size one as well.
    spread = np.sqrt(variance if unbias else variance + mean**2)
    varies = spread > _NOISE * np.abs(mean)
    deviation = np.where(varies & normalize, spread, 1.0)
    return Scale(mean if unbias else np.zeros_like(mean), deviation)

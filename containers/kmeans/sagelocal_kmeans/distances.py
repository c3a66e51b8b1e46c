"""Which centre is the closest to each of many rows, and how far away it is.

A squared distance is |x|^2 - 2 x.c + |c|^2; |x|^2 is the same for all centres, so it is left out of
the comparison. The difference of large numbers loses digits: rows are shifted to about their mean
before they come here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Vector = NDArray[np.float64]
Labels = NDArray[np.intp]

# Rows times centres looked at together: as much as stays in the processor's cache.
_BLOCK_CELLS = 1 << 18


@dataclass(frozen=True, slots=True)
class Assignment:
    """For each row the number of its closest centre, and the squared distance to it."""

    labels: Labels
    squares: Floats

    def __len__(self) -> int:
        return len(self.labels)


def assign(rows: Floats, centers: Floats) -> Assignment:
    """Each row's closest centre, the first one of several that are as close."""
    labels = np.empty(len(rows), np.intp)
    scores = np.empty(len(rows), np.float32)
    factors = -2 * centers.T
    lengths = np.einsum("ij,ij->i", centers, centers)
    step = max(64, _BLOCK_CELLS // len(centers))
    for start in range(0, len(rows), step):
        products = rows[start : start + step] @ factors
        products += lengths
        chosen = products.argmin(axis=1)
        labels[start : start + step] = chosen
        scores[start : start + step] = products[np.arange(len(chosen)), chosen]
    scores += np.einsum("ij,ij->i", rows, rows)
    return Assignment(labels, np.maximum(scores, 0, out=scores))


def squares_to(rows: Floats, points: Floats) -> Floats:
    """The squared distances of all rows to all of a few points: rows x points."""
    squares: Floats = rows @ (-2 * points.T)
    squares += np.einsum("ij,ij->i", points, points)
    squares += np.einsum("ij,ij->i", rows, rows)[:, None]
    return np.maximum(squares, 0, out=squares)


@dataclass(frozen=True, slots=True)
class Sums:
    """How much weighs on each centre, and the weighted sum of its rows."""

    weights: Vector
    totals: Vector
    """centres x features"""

    def means(self, otherwise: Floats) -> Floats:
        """The mean of each centre's rows; that of `otherwise` where a centre has none."""
        filled = self.weights > 0
        means = otherwise.copy()
        means[filled] = self.totals[filled] / self.weights[filled, None]
        return means


def sums(rows: Floats, labels: Labels, count: int, weights: Vector | None = None) -> Sums:
    """The sums over the rows of each of `count` centres."""
    on_each = np.bincount(labels, weights, count).astype(np.float64)
    weighted = rows if weights is None else rows * weights[:, None]
    totals = np.zeros((count, rows.shape[1]))
    # Rows in the order of their centres, added up in runs: one by one would be far slower.
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    totals[ordered[starts]] = np.add.reduceat(weighted[order], starts, axis=0, dtype=np.float64)
    return Sums(on_each, totals)

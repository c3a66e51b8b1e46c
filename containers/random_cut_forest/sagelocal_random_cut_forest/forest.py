"""Anomaly scores: how near to the roots of the trees a row would come to lie.

If a row's point were added to a tree's sample, the tree would be another one. On its way down, at a
node of depth d = 0, 1, ..., the point is cut off from all of the node's points with the probability

    p = (how far it lies outside of their box) / (the sides of the box that holds it too)

summed over all dimensions; then it is a leaf of depth d + 1. A tree's score is the expectation of
1 / (depth of that leaf):

    sum over the nodes on its way:   (1 - p of all nodes above) p / (d + 1)

At the leaf of an equal point p is 0; there, for a leaf of m points in a tree of n, it is
(1 - m / 2n) / (d + log2(m + 1)). The forest's score is the mean of all trees' times log2(n + 1).
So the developer guide's page "How RCF Works" describes it; the functions for seen points and the
scale are those of AWS's open-source library random-cut-forest-by-aws (CommonUtils,
AbstractScalarScoreVisitor).

Rows walk in C (`compiled.py`) where the package was compiled; else here, in numpy, all of them a
level at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sagelocal_random_cut_forest import compiled
from sagelocal_random_cut_forest.compiled import Kernel, Vector
from sagelocal_random_cut_forest.cutting import Cuts, Floats, Indices, Integers

# Numbers worked on together: enough for numpy, few enough for a processor's cache.
_BLOCK_CELLS = 1 << 18
_LARGEST = np.finfo(np.float32).max


@dataclass(slots=True)
class _Walks:
    """Ways of rows down trees: where each has come to, a walk per row and tree."""

    rows: Indices
    nodes: Integers
    remaining: Vector
    """With which probability the row is not cut off yet."""

    def only(self, kept: NDArray[np.bool_]) -> _Walks:
        """Some of the walks."""
        return _Walks(self.rows[kept], self.nodes[kept], self.remaining[kept])


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees of `size` points each, and the box around the points of each cut's node."""

    cuts: Cuts
    size: int
    lows: Floats
    highs: Floats
    """Corners of the boxes: cuts x features."""
    lengths: Vector
    """The sides of each box, summed."""

    @staticmethod
    def of(cuts: Cuts, size: int) -> Forest:
        """The forest of some trees."""
        return Forest(cuts, size, *_boxes(cuts))

    @property
    def width(self) -> int:
        """How many features a row has."""
        return int(self.cuts.points.shape[1])

    def scores(self, rows: Floats, kernel: Kernel | None = compiled.INSTALLED) -> Floats:
        """One for each row: the higher, the more anomalous."""
        if kernel is None:
            total = self._sums(rows)
        else:
            total = kernel.sums(rows, self.cuts, self.size, self.lows, self.highs, self.lengths)
        total *= np.log2(self.size + 1) / len(self.cuts.roots)
        return total.astype(np.float32)

    def _sums(self, rows: Floats) -> Vector:
        """Of each row, the sum of all trees' scores, without a kernel."""
        step = max(1, _BLOCK_CELLS // (len(self.cuts.roots) * self.width))
        total = np.empty(len(rows))
        with np.errstate(over="ignore"):  # Distances that no float32 number can tell.
            for start in range(0, len(rows), step):
                total[start : start + step] = self._walked(rows[start : start + step])
        return total

    def _walked(self, rows: Floats) -> Vector:
        """The same for a few rows, which walk down all trees together."""
        total, depth = np.zeros(len(rows)), 0
        trees = len(self.cuts.roots)
        walks = _Walks(
            np.tile(np.arange(len(rows)), trees),
            np.repeat(self.cuts.roots, len(rows)),
            np.ones(len(rows) * trees),
        )
        while len(walks.rows):
            at_leaf = walks.nodes < 0
            if at_leaf.any():
                self._end(rows, walks.only(at_leaf), depth, total)
                walks = walks.only(~at_leaf)
            self._step(rows, walks, depth, total)
            depth += 1
        return total

    def _step(self, rows: Floats, walks: _Walks, depth: int, total: Vector) -> None:
        """Go on to the next node; add to the total what comes of being cut off here."""
        cuts, nodes = self.cuts, walks.nodes
        points = rows.take(walks.rows, axis=0)
        outside = np.maximum(points, self.lows.take(nodes, axis=0))
        np.minimum(outside, self.highs.take(nodes, axis=0), out=outside)
        np.subtract(points, outside, out=outside)
        np.abs(outside, out=outside)
        length = np.minimum(outside @ np.ones(self.width, np.float32), _LARGEST)
        cut_off = length / (length + self.lengths.take(nodes))
        share = walks.remaining * cut_off
        total += np.bincount(walks.rows, share, len(rows)) / (depth + 1)
        walks.remaining = walks.remaining - share
        cells = np.arange(0, points.size, self.width) + cuts.dimensions.take(nodes)
        behind = points.take(cells) > cuts.places.take(nodes)
        walks.nodes = cuts.children.take(2 * nodes.astype(np.intp) + behind)

    def _end(self, rows: Floats, walks: _Walks, depth: int, total: Vector) -> None:
        """Add to the total what comes of arriving at a leaf."""
        leaves = -1 - walks.nodes
        equal = (rows[walks.rows] == self.cuts.points[leaves]).all(axis=1)
        masses = self.cuts.masses[leaves]
        seen = (1 - masses / (2 * self.size)) / (depth + np.log2(masses + 1))
        score = walks.remaining * np.where(equal, seen, 1 / (depth + 1))
        total += np.bincount(walks.rows, score, len(rows))


def _boxes(cuts: Cuts) -> tuple[Floats, Floats, Vector]:
    """The box of each cut's node, from its children's: its corners, and its sides' sum."""
    shape = (len(cuts.places), cuts.points.shape[1])
    lows, highs = np.empty(shape, np.float32), np.empty(shape, np.float32)
    lengths = np.empty(len(cuts.places))
    for level in reversed(_levels(cuts)):
        first, second = cuts.children[level].T
        low = np.minimum(_of(first, lows, cuts), _of(second, lows, cuts))
        high = np.maximum(_of(first, highs, cuts), _of(second, highs, cuts))
        lengths[level] = np.subtract(high, low, dtype=np.float64).sum(axis=1)
        lows[level], highs[level] = low, high
    return lows, highs, lengths


def _levels(cuts: Cuts) -> list[Integers]:
    """The cuts of each depth."""
    levels, level = [], cuts.roots[cuts.roots >= 0]
    while len(level):
        levels.append(level)
        children = cuts.children[level].ravel()
        level = children[children >= 0]
    return levels


def _of(nodes: Integers, corners: Floats, cuts: Cuts) -> Floats:
    """The corners of nodes' boxes; a leaf's is its point."""
    found = cuts.points[-1 - nodes]
    inner = nodes >= 0
    found[inner] = corners[nodes[inner]]
    return found

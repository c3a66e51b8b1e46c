"""Growing random cut trees: points to cuts (Guha, Mishra, Roy, Schrijvers: "Robust Random Cut
Forest Based Anomaly Detection on Streams", 2016, definition 1).

A node's points have a bounding box. A cut goes across one of its dimensions, chosen in proportion
to the lengths of the box's sides, at a place that is uniform over that side; the points before and
behind it are the node's children. Points that are all equal are a leaf.

All nodes of a level are cut together, those of several trees at once; blocks of trees grow in
parallel, each with random numbers of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sagelocal_train.machine import cpu_count

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]
Indices = NDArray[np.intp]

# Numbers worked on together: enough for numpy, few enough for a processor's cache.
_BLOCK_CELLS = 1 << 18


@dataclass(frozen=True, slots=True)
class Cuts:
    """Trees as tables. A root or a child is the number of a cut, or -1 - the number of a leaf.

    A cut has a lower number than the cuts among its children.
    """

    roots: Integers
    """One for each tree."""
    dimensions: Integers
    """Of each cut: the feature that it goes across."""
    places: Floats
    """Of each cut: points up to this value are before it, larger ones behind it."""
    children: Integers
    """Of each cut: what is before it, and what is behind it (cuts x 2)."""
    points: Floats
    """leaves x features"""
    masses: Integers
    """Of each leaf: how many equal points it stands for."""


def grow(points: Floats, trees: int, seed: int) -> Cuts:
    """Trees of equally many points each: the first tree's points come first.

    The number of points is a multiple of `trees`.
    """
    size, width = len(points) // trees, points.shape[1]
    together = max(1, _BLOCK_CELLS // (size * width))
    firsts = range(0, trees, together)
    seeds = np.random.SeedSequence(seed).spawn(len(firsts))

    def block(first: int, own_seed: np.random.SeedSequence) -> Cuts:
        part = points[first * size : (first + together) * size]
        return _grown(part, size, np.random.default_rng(own_seed))

    with ThreadPoolExecutor(cpu_count()) as pool:
        return _joined(list(pool.map(block, firsts, seeds)))


def _grown(points: Floats, size: int, random: np.random.Generator) -> Cuts:
    """The trees of one block."""
    level = _Level(points, np.arange(0, len(points), size))
    roots = len(level.starts)
    cuts, leaves = [], []
    while len(level.starts):
        cut = level.cut(random)
        cuts.append(cut)
        leaves.append(level.ends(cut.dimensions < 0))
        level = level.divided(cut)
    dimensions = np.concatenate([cut.dimensions for cut in cuts])
    is_cut = dimensions >= 0
    # The nodes after the roots are, two by two, the children of the cuts in their order.
    leaf_numbers = np.negative(np.cumsum(~is_cut))
    numbers = np.where(is_cut, np.cumsum(is_cut) - 1, leaf_numbers).astype(np.int32)
    return Cuts(
        numbers[:roots],
        dimensions[is_cut].astype(np.int32),
        np.concatenate([cut.places for cut in cuts])[is_cut],
        numbers[roots:].reshape(-1, 2),
        np.concatenate([points for points, _ in leaves]),
        np.concatenate([masses for _, masses in leaves]).astype(np.int32),
    )


@dataclass(frozen=True, slots=True)
class _Cut:
    """Of each node of a level: where it is cut; the dimension of a leaf is -1."""

    dimensions: Indices
    places: Floats


@dataclass(frozen=True, slots=True)
class _Level:
    """Nodes of the same depth: their points, one node's after the other's."""

    points: Floats
    starts: Indices

    @property
    def counts(self) -> Indices:
        """How many points each node has."""
        return np.diff(self.starts, append=len(self.points))

    def cut(self, random: np.random.Generator) -> _Cut:
        """A random cut of each node."""
        lows = np.minimum.reduceat(self.points, self.starts, axis=0)
        highs = np.maximum.reduceat(self.points, self.starts, axis=0)
        # In float64, where the difference of two float32 numbers cannot overflow.
        reached = np.cumsum(np.subtract(highs, lows, dtype=np.float64), axis=1)
        draws = random.random((2, len(lows)))
        chosen = (reached > (draws[0] * reached[:, -1])[:, None]).argmax(axis=1)
        nodes = np.arange(len(lows))
        low, high = lows[nodes, chosen], highs[nodes, chosen]
        places = (low + draws[1] * (high.astype(np.float64) - low)).astype(np.float32)
        # Rounded up to the far side, a cut would have nothing behind it.
        places = np.minimum(places, np.nextafter(high, low))
        return _Cut(np.where(high > low, chosen, -1), places)

    def ends(self, leaves: NDArray[np.bool_]) -> tuple[Floats, Indices]:
        """The point of each of these nodes, and how often it has it."""
        return self.points[self.starts[leaves]], self.counts[leaves]

    def divided(self, cut: _Cut) -> _Level:
        """The next level: the two sides of each node that is no leaf."""
        nodes = np.repeat(np.arange(len(self.starts)), self.counts)
        kept = np.flatnonzero(cut.dimensions[nodes] >= 0)
        nodes = nodes[kept]
        behind = self.points[kept, cut.dimensions[nodes]] > cut.places[nodes]
        sides = 2 * nodes + behind
        order = np.argsort(sides, kind="stable")
        sides = sides[order]
        starts = np.flatnonzero(np.diff(sides, prepend=-1))
        return _Level(self.points[kept[order]], starts)


def _joined(blocks: Sequence[Cuts]) -> Cuts:
    """The trees of all blocks, numbered on."""
    # How many cuts and leaves there are before each block.
    cuts = np.cumsum([0, *(len(block.places) for block in blocks)])
    leaves = np.cumsum([0, *(len(block.masses) for block in blocks)])

    def numbered(tables: Sequence[Integers]) -> Integers:
        moved = zip(tables, cuts, leaves, strict=False)
        return np.concatenate([np.where(t >= 0, t + c, t - n) for t, c, n in moved]).astype(
            np.int32
        )

    return Cuts(
        numbered([block.roots for block in blocks]),
        np.concatenate([block.dimensions for block in blocks]),
        np.concatenate([block.places for block in blocks]),
        numbered([block.children for block in blocks]),
        np.concatenate([block.points for block in blocks]),
        np.concatenate([block.masses for block in blocks]),
    )

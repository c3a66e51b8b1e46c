"""Centres to begin with, chosen among weighted points.

`kmeans++` takes each next centre with a probability that grows with its squared distance to those
that are there (Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding"); of a few
such candidates it keeps the one that brings most, as the paper suggests.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sagelocal_kmeans.distances import Floats, Vector, squares_to
from sagelocal_kmeans.hyperparameters import Method


def choose(
    points: Floats, weights: Vector, count: int, method: Method, random: np.random.Generator
) -> Floats:
    """`count` of the points; a point may be there twice only where there are too few."""
    if method == "random" or count >= len(points):
        return points[_drawn(weights, count, random)]
    return _spread(points, weights, count, random)


def _drawn(weights: Vector, count: int, random: np.random.Generator) -> NDArray[np.intp]:
    """Different points, heavy ones more likely."""
    some = min(count, len(weights))
    drawn = random.choice(len(weights), some, replace=False, p=weights / weights.sum())
    return np.resize(drawn.astype(np.intp), count)


def _spread(points: Floats, weights: Vector, count: int, random: np.random.Generator) -> Floats:
    candidates = 2 + int(math.log(count))
    chosen = np.empty(count, np.intp)
    chosen[0] = random.choice(len(points), p=weights / weights.sum())
    squares = squares_to(points, points[chosen[:1]])[:, 0]
    for number in range(1, count):
        mass = np.cumsum(squares * weights)
        if not mass[-1] > 0:  # All points are centres already.
            chosen[number:] = random.choice(len(points), count - number)
            break
        picks = np.searchsorted(mass, random.random(candidates) * mass[-1], side="right")
        picks = np.minimum(picks, len(points) - 1)
        nearer = np.minimum(squares[:, None], squares_to(points, points[picks]))
        best = int((weights @ nearer).argmin())
        chosen[number], squares = picks[best], nearer[:, best]
    return points[chosen]

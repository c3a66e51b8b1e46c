"""Lloyd's method on weighted points: the many centres of the stream become k.

It is tried several times from different beginnings, and the outcome with the least mean square
distance counts ("How K-Means Clustering Works", step 3, in the developer guide).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sagelocal_kmeans.distances import Floats, Vector, assign, sums
from sagelocal_kmeans.hyperparameters import Settings
from sagelocal_kmeans.seeding import choose


@dataclass(frozen=True, slots=True)
class Outcome:
    """Centres, and the mean square distance of the points to them."""

    centers: Floats
    mean_square: float


def shrink(
    points: Floats,
    weights: Vector,
    settings: Settings,
    random: np.random.Generator,
    report: Callable[[int, Outcome], None] = lambda trial, outcome: None,
) -> Outcome:
    """The best of several trials to find k centres."""
    best: Outcome | None = None
    for trial in range(settings.local_lloyd_num_trials):
        method = settings.local_lloyd_init_method
        outcome = refine(
            points,
            weights,
            choose(points, weights, settings.k, method, random),
            settings.local_lloyd_max_iter,
            settings.local_lloyd_tol,
        )
        report(trial, outcome)
        if best is None or outcome.mean_square < best.mean_square:
            best = outcome
    assert best is not None, "there is at least one trial"
    return best


def refine(
    points: Floats, weights: Vector, centers: Floats, max_iter: int, tolerance: float
) -> Outcome:
    """Move centres to the means of their points until that changes little."""
    before = np.inf
    for _ in range(max_iter):
        closest = assign(points, centers)
        now = float(weights @ closest.squares)
        if before - now <= tolerance * now:
            break
        before = now
        centers = sums(points, closest.labels, len(centers), weights).means(centers)
    total = float(weights @ assign(points, centers).squares)
    return Outcome(centers, total / float(weights.sum()))

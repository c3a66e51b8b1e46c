"""A random sample of all hosts' rows, without replacement, and each tree's part of it.

Every row draws a random number, and the rows with the lowest ones are the sample: that is reservoir
sampling, and it holds over several hosts, each of which sends its lowest. Source: the developer
guide's page "How RCF Works"; equal parts of what there is, where there are too few rows, are what a
real job's log shows (4032 rows for 50 trees of 512: 80 each).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sagelocal_first_party import Group, Rows
from sagelocal_train.errors import UserError

from sagelocal_random_cut_forest.cutting import Floats
from sagelocal_random_cut_forest.hyperparameters import Settings

SEED = 20180417


@dataclass(frozen=True, slots=True)
class Sample:
    """The points of all trees, in random order: as many for each tree."""

    points: Floats
    size: int
    """Points of each tree."""
    seen: int
    """How many there were to choose from, of those that hosts sent."""


def drawn(rows: Rows, settings: Settings, group: Group) -> Sample | None:
    """The sample, on the first host; None elsewhere.

    Raises UserError where there are fewer rows than trees.
    """
    wanted = settings.num_trees * settings.num_samples_per_tree
    numbers = np.random.default_rng([SEED, group.rank]).random(len(rows))
    lowest = _lowest(numbers, wanted)
    sent = group.gather(numbers[lowest], rows.take(lowest))
    if not group.is_first:
        return None
    numbers = np.concatenate([numbers for numbers, _ in sent])
    points: Floats = np.concatenate([points for _, points in sent])
    size = min(settings.num_samples_per_tree, len(points) // settings.num_trees)
    if not size:
        raise UserError(
            f"The channel 'train' has {len(points)} rows and 'num_trees' is {settings.num_trees}: "
            "each tree needs a row of its own at least; lower 'num_trees', or train on more rows"
        )
    chosen = _lowest(numbers, size * settings.num_trees)
    return Sample(points[chosen], size, len(points))


def _lowest(numbers: np.ndarray, count: int) -> np.ndarray:
    """The places of the lowest numbers, the lowest first."""
    if count < len(numbers):
        found = np.argpartition(numbers, count)[:count]
        return found[np.argsort(numbers[found])]
    return np.argsort(numbers)

"""Add many small steps to the rows of a matrix, where a row may get several of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def add_rows(
    matrix: Floats,
    places: NDArray[np.int64],
    steps: Floats,
    pairs: Floats,
    most_pairs: float,
) -> None:
    """matrix[places[i]] += steps[i] for every i, with a limit to what comes together in a row.

    Every step was computed from the row as it was before, as if the others were not: a frequent
    word gets dozens of them at once, and their sum would leap over the goal. `pairs` says how many
    pairs of words each step stands for; a row that gets more than `most_pairs` in all has its
    steps shrunk to that many.

    numpy's own `add.at` takes ten times as long: steps are added in rounds, each row once in one.
    """
    count = len(places)
    order = np.argsort(places, kind="stable")
    ranked = places[order]
    is_first = np.empty(count, np.bool_)
    is_first[0] = True
    np.not_equal(ranked[1:], ranked[:-1], out=is_first[1:])
    starts = np.flatnonzero(is_first)
    lengths = np.diff(starts, append=count)
    together = np.add.reduceat(pairs[order], starts)
    shrink = np.minimum(1.0, most_pairs / np.maximum(together, 1e-9)).astype(np.float32)
    scale = np.empty(count, np.float32)
    scale[order] = np.repeat(shrink, lengths)
    steps = steps * scale[:, None]
    turns = np.arange(count) - np.repeat(starts, lengths)
    by_turn = order[np.argsort(turns, kind="stable")]
    begin = 0
    for size in np.bincount(turns).tolist():
        chosen = by_turn[begin : begin + size]
        matrix[places[chosen]] += steps[chosen]
        begin += size

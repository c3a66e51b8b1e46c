"""How the numbers of an array are spread, in one pass and in little memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sagelocal.models.model import Numbers, Unread

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Statistics:
    """Over the finite numbers; None where there are none."""

    minimum: float | None
    maximum: float | None
    mean: float | None
    deviation: float | None
    """Standard deviation of the population."""
    zeros: int
    not_finite: int


def statistics(array: Numbers | Unread) -> Statistics | None:
    """None of what holds no numbers, or was not read."""
    if isinstance(array, Unread) or array.dtype.kind not in "fiub" or not array.size:
        return None
    low, high, count, zeros, odd = math.inf, -math.inf, 0, 0, 0
    mean = squares = 0.0
    for block in _blocks(array):
        finite = block[np.isfinite(block)]
        odd += len(block) - len(finite)
        if not len(finite):
            continue
        low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        zeros += int(np.count_nonzero(finite == 0))
        # Chan, Golub and LeVeque: joining means and squares of two parts.
        part, part_mean = len(finite), float(finite.mean())
        apart = part_mean - mean
        squares += float(np.square(finite - part_mean).sum())
        squares += apart * apart * count * part / (count + part)
        mean += apart * part / (count + part)
        count += part
    if not count:
        return Statistics(None, None, None, None, 0, odd)
    return Statistics(low, high, mean, math.sqrt(squares / count), zeros, odd)


def _blocks(array: Numbers) -> Iterator[Numbers]:
    flat = array.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        yield flat[start : start + _BLOCK].astype(np.float64)

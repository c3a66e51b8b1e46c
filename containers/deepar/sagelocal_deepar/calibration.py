"""How much wider forecasts must be to hold what they promise.

A network that is trained on known values is too sure of itself once it sees its own draws. So the
ends of some series are kept from training (see `held_back`); afterwards they are forecast with
likelihoods of several widths, and the width is taken at which four of five values lie between the
quantiles 0.1 and 0.9.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sagelocal_deepar.dataset import Integers
from sagelocal_deepar.forecaster import Forecaster
from sagelocal_deepar.frequency import Floats
from sagelocal_deepar.series import Series
from sagelocal_deepar.shape import Shape

COVERAGE = 0.8
NARROWEST, WIDEST = 0.6, 3.0
_MOST_SERIES = 50
_FEWEST_SERIES = 8
_PATHS = 50
_HALVINGS = 6


def held_back(
    series: Sequence[Series], context_length: int, prediction_length: int,
    random: np.random.Generator,
) -> Integers:  # fmt: skip
    """The numbers of the series whose ends are kept from training: a fifth of those that are long.

    None where there are few; what such a model knows of its errors it knows from what it learned.
    """
    long = [
        number
        for number, each in enumerate(series)
        if len(each.target) >= context_length + 3 * prediction_length
    ]
    if len(long) < _FEWEST_SERIES:
        return np.zeros(0, np.int64)
    count = min(max(len(long) // 5, _FEWEST_SERIES // 2), _MOST_SERIES)
    return np.sort(random.choice(np.array(long, np.int64), count, replace=False))


def spread_of(forecaster: Forecaster, series: Sequence[Series], held: Integers) -> float:
    """The factor by which draws have to lie farther from the mean."""
    shape = forecaster.shape
    if shape.likelihood == "deterministic-L1":
        return 1.0
    chosen = [series[number] for number in held] or _some(series, shape)
    if not chosen:
        return 1.0
    known = [each.until(-shape.prediction_length) for each in chosen]
    truth = np.stack([each.target[-shape.prediction_length :] for each in chosen])
    # Where nothing was held back, what was learned by heart looks too good.
    low, high = np.log(NARROWEST if len(held) else 1.0), np.log(WIDEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        samples = forecaster.samples(known, _PATHS, spread=float(np.exp(middle)))
        if coverage(truth, samples) < COVERAGE:
            low = middle
        else:
            high = middle
    return float(np.exp((low + high) / 2))


def coverage(truth: Floats, samples: Floats) -> float:
    """The share of the truth (series, steps) that lies within the middle 80 % of the paths."""
    low, high = np.quantile(samples, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2], axis=1)
    there: NDArray[np.bool_] = ~np.isnan(truth)
    inside = (truth >= low) & (truth <= high)
    return float(inside[there].mean()) if there.any() else COVERAGE


def _some(series: Sequence[Series], shape: Shape) -> list[Series]:
    long = [each for each in series if len(each.target) > shape.prediction_length]
    return long[:: max(1, len(long) // _MOST_SERIES)][:_MOST_SERIES]

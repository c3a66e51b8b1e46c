"""What forecasts are worth: the figures of the log.

    RMSE                 of the mean forecast
    wQuantileLoss[q]     2 sum(max(q (y - z), (1 - q) (z - y))) / sum |y|, z the forecast of q
    mean_wQuantileLoss   its mean over the quantiles

over all values of all series that are not missing (developer guide, "Tune a DeepAR Model").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sagelocal_deepar.frequency import Floats


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The figures of a set of forecasts."""

    rmse: float
    mean_absolute_quantile_loss: float
    mean_weighted_quantile_loss: float
    weighted_quantile_losses: dict[float, float]


def accuracy(truth: Floats, samples: Floats, quantiles: Sequence[float]) -> Accuracy:
    """The figures of paths (series, paths, steps) for a truth of (series, steps), NaN allowed."""
    there = ~np.isnan(truth)
    actual = truth[there].astype(np.float64)
    total = np.abs(actual).sum()
    mean = samples.mean(axis=1, dtype=np.float64)[there]
    losses = {}
    for quantile in quantiles:
        forecast = np.quantile(samples, quantile, axis=1)[there].astype(np.float64)
        over = actual - forecast
        losses[quantile] = 2 * float(np.maximum(quantile * over, (quantile - 1) * over).sum())
    weighted = {quantile: loss / total if total else 0.0 for quantile, loss in losses.items()}
    return Accuracy(
        float(np.sqrt(np.mean((actual - mean) ** 2))) if actual.size else 0.0,
        float(np.mean(list(losses.values()))),
        float(np.mean(list(weighted.values()))),
        weighted,
    )

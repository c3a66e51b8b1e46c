"""Series laid out end to end, and windows of them as the network sees them.

A window has `context_length` steps that are known and `prediction_length` that are to be forecast;
it may begin before its series does. Values are centred and scaled by what a window knows, so that
large and small series look alike. What is missing is 0 there, and said to be missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sagelocal_deepar.frequency import Floats
from sagelocal_deepar.series import Series
from sagelocal_deepar.shape import Shape

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of series, steps in the second dimension; NaN where there is no value.

    `values` has one for each step, `lagged` those that the network sees at each step. `features`
    are the calendar, the age, dynamic features, and what is said of the series as a whole.
    """

    values: Floats
    lagged: Floats
    features: Floats
    categories: Integers
    location: Floats
    scale: Floats


class Laid:
    """Series end to end, each with room before it for what windows look back to."""

    def __init__(self, series: Sequence[Series], shape: Shape, room_after: int = 0) -> None:
        self.shape = shape
        self.lengths = np.array([len(each.target) for each in series], np.int64)
        self.room = shape.context_length + max(max(shape.lags), shape.scale_length)
        sizes = self.room + self.lengths + room_after
        self.begins = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64) + self.room
        self._starts = np.array([each.start for each in series], np.int64)
        self._values = np.full(int(sizes.sum()), np.nan, np.float32)
        self._dynamic = np.zeros((int(sizes.sum()), shape.dynamic_features), np.float32)
        self._categories = np.array([each.categories for each in series], np.int64).reshape(
            len(series), len(shape.cardinality)
        )
        for each, begin in zip(series, self.begins, strict=True):
            self._values[begin : begin + len(each.target)] = each.target
            if shape.dynamic_features:
                known = shape.standardised(each.dynamic).T
                self._dynamic[begin : begin + len(known)] = known

    def windows(self, numbers: Integers, forecast_from: Integers) -> Windows:
        """Windows of the series `numbers` whose forecasts begin at the steps `forecast_from`."""
        shape = self.shape
        steps = np.arange(-shape.context_length, shape.prediction_length)
        places = (self.begins[numbers] + forecast_from)[:, None] + steps
        ages = forecast_from[:, None] + steps
        location, scale = self._scales(numbers, forecast_from)
        times = self._starts[numbers][:, None] + ages * shape.frequency.step
        # Dates before the series do no harm, but years do not reach back without end.
        features = [
            shape.frequency.calendar(np.maximum(times, self._starts[numbers][:, None])),
            np.log10(2 + np.maximum(ages, 0))[:, :, None] / 4,
            self._dynamic[places],
            np.broadcast_to(
                shape.of_series(location, scale)[:, None, :], (*places.shape, shape.series_features)
            ),
        ]
        return Windows(
            values=self._values[places],
            lagged=self._values[places[:, :, None] - np.array(shape.lags)],
            features=np.concatenate(features, axis=2, dtype=np.float32),
            categories=self._categories[numbers],
            location=location,
            scale=scale,
        )

    def known(self, numbers: Integers, forecast_from: Integers) -> Floats:
        """The values before each forecast, as far back as lags reach; the last one last."""
        back = np.arange(-self.room, 0)
        found: Floats = self._values[(self.begins[numbers] + forecast_from)[:, None] + back]
        return found

    def _scales(self, numbers: Integers, forecast_from: Integers) -> tuple[Floats, Floats]:
        back = np.arange(-self.shape.scale_length, 0)
        seen = self._values[(self.begins[numbers] + forecast_from)[:, None] + back]
        return self.shape.scales(seen)


def seen(lagged: Floats, location: Floats, scale: Floats) -> Floats:
    """Lagged values as the network gets them, and at the end whether the last one is there.

    The last dimension of `lagged` are lags; `location` and `scale` fit what comes before it.
    """
    scaled = (lagged - location[..., None]) / scale[..., None]
    there = ~np.isnan(lagged[..., :1])
    filled = np.where(np.isnan(scaled), np.float32(0), scaled)
    return np.concatenate([np.clip(filled, -100, 100), there], axis=-1, dtype=np.float32)

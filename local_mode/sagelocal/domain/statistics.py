"""Values over time and what CloudWatch tells of them: one number per period.

A period begins at a whole multiple of its length since 1970, and is named by its beginning
(CloudWatch user guide, "Metrics concepts", "Periods").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "SampleCount": lambda values: float(len(values)),
    "Average": lambda values: math.fsum(values) / len(values),
    "Sum": math.fsum,
    "Minimum": min,
    "Maximum": max,
}
MOST_DATAPOINTS = 1440
_SHORT_PERIODS = (1, 5, 10, 20, 30)
_MINUTE = 60


@dataclass(frozen=True)
class Span:
    """What is asked about, in seconds since 1970: from `start` to before `end`, in periods.

    The start is rounded down to a whole minute, or to a whole period if that is shorter, as
    GetMetricStatistics documents it. Raises ValueError for a period that cannot be.
    """

    start: float
    end: float
    period_seconds: int

    def __post_init__(self) -> None:
        period = self.period_seconds
        if period not in _SHORT_PERIODS and (period < _MINUTE or period % _MINUTE):
            raise ValueError(f"Period is {period}; it must be 1, 5, 10, 20, 30 or a multiple of 60")
        unit = min(period, _MINUTE)
        object.__setattr__(self, "start", self.start // unit * unit)

    @property
    def periods(self) -> int:
        """How many datapoints there may be."""
        return max(0, math.ceil((self.end - self.start) / self.period_seconds))


def by_period(points: Iterable[tuple[float, float]], span: Span) -> Mapping[float, Sequence[float]]:
    """The values of `points` (time, value) within the span, by the beginning of their period."""
    found: dict[float, list[float]] = {}
    for time, value in points:
        if span.start <= time < span.end:
            beginning = time // span.period_seconds * span.period_seconds
            found.setdefault(beginning, []).append(value)
    return dict(sorted(found.items()))

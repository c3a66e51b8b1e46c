"""Time: what a step of a series is, which dates it has, and how far back it looks.

Times are whole numbers: months since 1970 where a step is made of months, minutes since 1970
otherwise. Which calendar features belong to a frequency is said in the developer guide's page "How
the DeepAR Algorithm Works"; each is a point on a circle here, so that December is beside January.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Unit = Literal["M", "W", "D", "H", "min"]

_MINUTES: dict[Unit, int] = {"W": 7 * 24 * 60, "D": 24 * 60, "H": 60, "min": 1}
# As pandas spells them, too.
_SPELLINGS: dict[str, Unit] = {
    "M": "M", "MS": "M", "ME": "M",
    "W": "W",
    "D": "D",
    "H": "H", "h": "H",
    "min": "min", "T": "min",
}  # fmt: skip
_EPOCH = datetime(1970, 1, 1)
_MINUTES_OF_A_DAY = 24 * 60
_MINUTES_OF_A_WEEK = 7 * _MINUTES_OF_A_DAY
# The first of January 1970 was a Thursday; weeks begin on Mondays.
_DAYS_FROM_MONDAY = 3
_NEAREST = 7

Times = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Frequency:
    """A step of a series: so many months, weeks, days, hours or minutes."""

    multiple: int
    unit: Unit

    @staticmethod
    def parse(text: str) -> Frequency:
        """The frequency that a text such as `H` or `5min` means; raises ValueError."""
        found = re.fullmatch(r"\s*([0-9]*)\s*([A-Za-z]+)\s*", text)
        unit = _SPELLINGS.get(found[2]) if found else None
        multiple = int(found[1] or 1) if found else 0
        if unit is None or multiple < 1:
            raise ValueError(f"{text!r} is no frequency such as M, W, D, H, min or 5min")
        return Frequency(multiple, unit)

    def __str__(self) -> str:
        return f"{self.multiple}{self.unit}" if self.multiple > 1 else self.unit

    def time_of(self, start: str) -> int:
        """The time of a `start`, at the beginning of its month or day where only that counts.

        Raises ValueError.
        """
        moment = datetime.fromisoformat(start.strip())
        if moment.tzinfo is not None:
            raise ValueError("it has a time zone")
        if self.unit == "M":
            return (moment.year - 1970) * 12 + moment.month - 1
        minutes = int((moment - _EPOCH).total_seconds() // 60)
        if self.unit in ("D", "W"):
            return minutes // _MINUTES_OF_A_DAY * _MINUTES_OF_A_DAY
        return minutes

    @property
    def step(self) -> int:
        """The length of a step in the unit of times."""
        return self.multiple * (1 if self.unit == "M" else _MINUTES[self.unit])

    @property
    def features(self) -> int:
        """How many numbers `calendar` gives for each time."""
        return 2 * {"M": 1, "W": 2, "D": 3, "H": 4, "min": 5}[self.unit]

    def calendar(self, times: Times) -> Floats:
        """For each time where it is in the hour, day, week, month and year, as far as steps go.

        The result has one more dimension than `times`: a sine and a cosine for each.
        """
        if self.unit == "M":
            return _on_circles([times % 12 / 12])
        minutes = times % _MINUTES_OF_A_DAY
        days = times // _MINUTES_OF_A_DAY
        dates = days.astype("datetime64[D]")
        in_month = (dates - dates.astype("datetime64[M]")).astype(np.int64) / 31
        in_year = (dates - dates.astype("datetime64[Y]")).astype(np.int64) / 366
        cycles = [in_month, in_year]
        if self.unit != "W":
            cycles.append((days + _DAYS_FROM_MONDAY) % 7 / 7)
        if self.unit in ("H", "min"):
            cycles.append(minutes / _MINUTES_OF_A_DAY)
        if self.unit == "min":
            cycles.append(minutes % 60 / 60)
        return _on_circles(cycles)

    @property
    def seasons(self) -> list[int]:
        """The lengths of natural cycles in steps, the shortest first: 24 and 168 for hours."""
        cycles = {
            "M": [12],
            "W": [52],
            "D": [7, 365],
            "H": [24, 24 * 7],
            "min": [60, _MINUTES_OF_A_DAY, _MINUTES_OF_A_WEEK],
        }[self.unit]
        steps = [round(cycle / self.multiple) for cycle in cycles]
        return [step for step in dict.fromkeys(steps) if step > 1]

    def lags(self, longest: int) -> tuple[int, ...]:
        """How many steps back each of the values is that the network sees, at most `longest`.

        The nearest ones, and those around one and more of each cycle: a day, days, weeks ago.
        """
        repeats = {"M": (3,), "W": (2,), "D": (4, 1), "H": (7, 4), "min": (3, 7, 1)}[self.unit]
        found = set(range(1, _NEAREST + 1))
        for season, repeat in zip(self.seasons, repeats, strict=False):
            for count in range(1, repeat + 1):
                found |= {season * count + shift for shift in (-1, 0, 1)}
        return tuple(sorted(lag for lag in found if 1 <= lag <= max(longest, 1)))


def _on_circles(cycles: list[NDArray[np.float64]]) -> Floats:
    angles = np.stack(cycles, axis=-1) * (2 * math.pi)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=-1).astype(np.float32)

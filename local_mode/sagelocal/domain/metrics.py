"""Metrics that a job prints: a regular expression finds each in the lines of its log.

The first group of the expression is the value, and the last value printed is the one that
DescribeTrainingJob gives (SageMaker developer guide, "Define training metrics").

CloudWatch shows a tab in a job's log as the text `#011`, and the metric definitions of the
built-in algorithms rely on it, so lines are matched as CloudWatch would show them, and then, for
expressions that were written against the program itself, as they were printed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

SHOWN_TAB = "#011"


@dataclass(frozen=True)
class MetricDefinition:
    """What to look for. Raises re.error for an expression that is none."""

    name: str
    regex: str
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", re.compile(self.regex))

    def value_in(self, line: str) -> float | None:
        """The metric's value in a line; None if it has none that is a number."""
        match = self.pattern.search(as_shown(line))
        if match is None and "\t" in line:
            match = self.pattern.search(line)
        if match is None or not self.pattern.groups or match.group(1) is None:
            return None
        try:
            # `(\S+)` runs over the tab that is shown as text; the value ends where the tab is.
            value = float(match.group(1).partition(SHOWN_TAB)[0])
        except ValueError:
            return None
        return value if math.isfinite(value) else None


@dataclass(frozen=True)
class MetricData:
    """A metric's last value and when it was printed (seconds since 1970)."""

    name: str
    value: float
    timestamp: float


def as_shown(line: str) -> str:
    """A log line as CloudWatch shows it."""
    return line.replace("\t", SHOWN_TAB)


def final_metrics(
    definitions: Iterable[MetricDefinition], lines: Iterable[tuple[float, str]]
) -> tuple[MetricData, ...]:
    """The last value of each metric in `lines` (time, text), in the definitions' order.

    Lines of several hosts may come in any order; the latest time wins.
    """
    wanted = tuple(definitions)
    found: dict[str, MetricData] = {}
    if not wanted:
        return ()
    for timestamp, text in lines:
        for definition in wanted:
            value = definition.value_in(text)
            if value is None:
                continue
            earlier = found.get(definition.name)
            if earlier is None or earlier.timestamp <= timestamp:
                found[definition.name] = MetricData(definition.name, value, timestamp)
    names = dict.fromkeys(definition.name for definition in wanted)
    return tuple(found[name] for name in names if name in found)

"""Figures: what was measured, against what, and the bar."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line of the report; values and bar in the same unit."""

    name: str
    values: Sequence[float]
    unit: str
    bar: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def __str__(self) -> str:
        spread = (
            f"{min(self.values):8.3f} {self.median:8.3f} {max(self.values):8.3f} {self.unit:<3}"
        )
        if self.bar is None:
            return f"  {self.name:<58} {spread}"
        verdict = "reached" if self.median <= self.bar else "MISSED"
        return f"  {self.name:<58} {spread} bar {self.bar:g} {verdict}"


def report(title: str, figures: Sequence[Figure]) -> None:
    """Print a table: minimum, median, maximum of each figure, and whether its bar was reached."""
    print(f"\n{title}\n  {'':<58} {'min':>8} {'median':>8} {'max':>8}")
    for figure in figures:
        print(figure, flush=True)


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def wait_until(condition: Callable[[], bool], timeout_seconds: float, step: float = 0.005) -> None:
    """Look again and again until it holds. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_seconds} s")
        time.sleep(step)

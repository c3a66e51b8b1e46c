"""Figures: what was measured, against what, and the bar."""

from __future__ import annotations

import contextlib
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


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


@dataclass(slots=True)
class Times:
    """Seconds of several runs of processes: by the clock, and of all processors together.

    Other work on the machine changes the clock's, and the processors' hardly.
    """

    clock: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)

    def take(self, call: Callable[[], object]) -> None:
        """Once more; the call waits for the processes that it starts."""
        before = _busy_seconds()
        self.clock.append(seconds(call))
        self.busy.append(_busy_seconds() - before)

    def clock_ratios(self, others: Times) -> list[float]:
        """Of each run to the other's that it was in turns with."""
        return [a / b for a, b in zip(self.clock, others.clock, strict=True)]

    def busy_ratios(self, others: Times) -> list[float]:
        """The same of processor time."""
        return [a / b for a, b in zip(self.busy, others.busy, strict=True)]


def _busy_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tree_seconds(pid: int) -> float:
    """The processor time that a process and its descendants took so far, to the nanosecond."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # pid (name) state ppid: a name may have anything in it.
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    tree = {pid}
    while more := {child for child, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return sum(map(own_seconds, tree))


def own_seconds(pid: int) -> float:
    """The processor time that a process itself took so far, to the nanosecond."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):
            total += int(thread.read_text().split()[0])
    return total / 1e9


def wait_until(condition: Callable[[], bool], timeout_seconds: float, step: float = 0.005) -> None:
    """Look again and again until it holds. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_seconds} s")
        time.sleep(step)

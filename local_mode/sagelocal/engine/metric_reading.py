"""The metrics of a job, read from its logs by a process of their own.

A job brings regular expressions, and Python's matcher takes for ever over some of them (`(a+)+$`),
holding the interpreter all the while: in the control plane every call would hang. Logs may be long,
too. So a process reads them, passes over a line that takes an expression more than a second or two,
and gives up an expression that is so slow again and again.

    plane    {"definitions": [[name, regex], ...], "logs": [path, ...]}           -> stdin
    stdout   {"values": [[name, value, timestamp], ...], "slow": [name, ...]}     -> plane
"""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sagelocal
from sagelocal.domain.metrics import MetricData, MetricDefinition, final_metrics
from sagelocal.store.logs import lines_of

LINE_SECONDS = 1.0
SLOW_LINES = 3
# A fence only: expressions are given up long before.
TIMEOUT_SECONDS = 600.0

_BOOTSTRAP = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from sagelocal.engine.metric_reading import main; main()"
)

log = logging.getLogger(__name__)


def last_values(
    definitions: Sequence[MetricDefinition], logs: Sequence[Path]
) -> tuple[MetricData, ...]:
    """The last value of each metric in a job's log files; none of those that cannot be had."""
    return _ask(definitions, logs, every=False)


def every_value(definition: MetricDefinition, logs: Sequence[Path]) -> tuple[MetricData, ...]:
    """Every value of a metric in a job's log files, one file after the other."""
    return _ask([definition], logs, every=True)


def _ask(
    definitions: Sequence[MetricDefinition], logs: Sequence[Path], *, every: bool
) -> tuple[MetricData, ...]:
    if not definitions:
        return ()
    question = {
        "definitions": [[each.name, each.regex] for each in definitions],
        "logs": [str(path) for path in logs],
        "every": every,
    }
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _BOOTSTRAP, _import_root()],
            input=json.dumps(question),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=True,
        )
        answer = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        log.warning("metrics in %s cannot be read: %s", ", ".join(map(str, logs)), error)
        return ()
    for name in answer["slow"]:
        log.warning(
            "the metric %s was given up: its Regex takes more than %g s for a line of %s",
            *(name, LINE_SECONDS, ", ".join(map(str, logs))),
        )
    return tuple(MetricData(*found) for found in answer["values"])


def _import_root() -> str:
    """The folder that holds the package `sagelocal`."""
    return str(Path(sagelocal.__path__[0]).parent)


# The process


def main() -> None:
    """Answer the one question on stdin."""
    question: dict[str, Any] = json.load(sys.stdin)
    watch = _Watch(LINE_SECONDS)
    definitions = [_Impatient(name, regex, watch) for name, regex in question["definitions"]]
    printed = _printed(Path(path) for path in question["logs"])
    found = (
        _every(definitions[0], printed)
        if question["every"]
        else final_metrics(definitions, printed)
    )
    slow = [each.name for each in definitions if each.given_up]
    values = [[each.name, each.value, each.timestamp] for each in found if each.name not in slow]
    json.dump({"values": values, "slow": slow}, sys.stdout)


def _every(
    definition: MetricDefinition, lines: Iterable[tuple[float, str]]
) -> Sequence[MetricData]:
    values = ((definition.value_in(text), timestamp) for timestamp, text in lines)
    return [MetricData(definition.name, value, at) for value, at in values if value is not None]


def _printed(logs: Iterable[Path]) -> Iterator[tuple[float, str]]:
    for path in logs:
        for event in lines_of(path):
            yield event.timestamp / 1000, event.text


class _TooSlow(Exception):
    """An expression had its time for a line."""


class _Watch:
    """Ends a search that goes on from one tick of the clock to the next.

    Only the matcher's heed of signals can end it; and a clock that ticks costs a search nothing,
    where to wind one up for each would cost more than the search.
    """

    def __init__(self, tick_seconds: float) -> None:
        self._search = 0
        self._at_last_tick = 0
        self._looking = False
        signal.signal(signal.SIGALRM, self._tick)
        signal.setitimer(signal.ITIMER_REAL, tick_seconds, tick_seconds)

    def run(self, search: Callable[[str], float | None], line: str) -> float | None:
        """What the search finds. Raises _TooSlow."""
        self._search += 1
        self._looking = True
        try:
            return search(line)
        finally:
            self._looking = False

    def _tick(self, _number: int, _frame: object) -> None:
        if self._looking and self._search == self._at_last_tick:
            raise _TooSlow
        self._at_last_tick = self._search


@dataclass(frozen=True)
class _Impatient(MetricDefinition):
    """Passes over lines that take too long, and gives up after some."""

    watch: _Watch = field(compare=False)
    slow_lines: list[str] = field(default_factory=list, init=False, compare=False)

    @property
    def given_up(self) -> bool:
        return len(self.slow_lines) >= SLOW_LINES

    def value_in(self, line: str) -> float | None:
        if self.given_up:
            return None
        try:
            return self.watch.run(super().value_in, line)
        except _TooSlow:
            self.slow_lines.append(line)
            return None

"""The metrics of a job, read from its logs by a process of their own.

A job brings regular expressions, and Python's matcher takes for ever over some of them (`(a+)+$`),
holding the interpreter all the while: in the control plane every call would hang. Logs may be long,
too. So a process reads them, gives up on a line over which an expression takes more than a second,
and on an expression that is so slow again and again.

    plane    {"definitions": [[name, regex], ...], "logs": [path, ...]}           -> stdin
    stdout   {"metrics": [[name, value, timestamp], ...], "slow": [name, ...]}    -> plane
"""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

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


def read_metrics(
    definitions: Sequence[MetricDefinition], logs: Sequence[Path]
) -> tuple[MetricData, ...]:
    """The last value of each metric in a job's log files. None of those that cannot be had."""
    if not definitions:
        return ()
    question = {
        "definitions": [[each.name, each.regex] for each in definitions],
        "logs": [str(path) for path in logs],
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
    return tuple(MetricData(*metric) for metric in answer["metrics"])


def _import_root() -> str:
    """The folder that holds the package `sagelocal`."""
    return str(Path(sagelocal.__path__[0]).parent)


class _TooSlow(Exception):
    """An expression had its time for a line."""


class _Patience:
    """Looks for values, a second for each line. The matcher itself looks for signals."""

    def __init__(self) -> None:
        self.slow_lines: Counter[str] = Counter()
        self._looking = False
        signal.signal(signal.SIGALRM, self._ring)

    def value_in(self, definition: MetricDefinition, line: str) -> float | None:
        if self.slow_lines[definition.name] >= SLOW_LINES:
            return None
        signal.setitimer(signal.ITIMER_REAL, LINE_SECONDS)
        try:
            self._looking = True
            try:
                return definition.value_in(line)
            finally:
                self._looking = False
        except _TooSlow:
            self.slow_lines[definition.name] += 1
            return None

    def given_up(self) -> list[str]:
        return [name for name, count in self.slow_lines.items() if count >= SLOW_LINES]

    def _ring(self, _number: int, _frame: object) -> None:
        if self._looking:
            raise _TooSlow


def main() -> None:
    """The process: answer the one question on stdin."""
    question = json.load(sys.stdin)
    definitions = [MetricDefinition(name, regex) for name, regex in question["definitions"]]
    patience = _Patience()
    printed = _printed(Path(path) for path in question["logs"])
    found = final_metrics(definitions, printed, patience.value_in)
    slow = patience.given_up()
    metrics = [[m.name, m.value, m.timestamp] for m in found if m.name not in slow]
    json.dump({"metrics": metrics, "slow": slow}, sys.stdout)


def _printed(logs: Iterator[Path]) -> Iterator[tuple[float, str]]:
    for path in logs:
        for event in lines_of(path):
            yield event.timestamp / 1000, event.text

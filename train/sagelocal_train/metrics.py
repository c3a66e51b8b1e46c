"""The metrics an algorithm prints, declared once: the regexes a job registers, and tuning goals.

METRICS = Metrics(
    Metric("train:progress", r"#progress_metric: host=\\S+, completed (\\S+) %"),
    Metric("validation:mse", r"...", goal="Minimize"),
)
METRICS.definitions()      # MetricDefinitions of CreateTrainingJob
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Goal = Literal["Minimize", "Maximize"]

PROGRESS = ("train:progress", r"#progress_metric: host=\S+, completed (\S+) %")
THROUGHPUT = (
    "train:throughput",
    r"#throughput_metric: host=\S+, train throughput=(\S+) records/second",
)


@dataclass(frozen=True)
class Metric:
    """A value in the log: the first group of `regex` is its number. A `goal` makes it tunable."""

    name: str
    regex: str
    goal: Goal | None = None

    def __post_init__(self) -> None:
        if re.compile(self.regex).groups < 1:
            raise ValueError(f"the regex of metric {self.name!r} has no group for the value")

    def find(self, line: str) -> float | None:
        """The value in one line of the log, None if it is not there.

        CloudWatch shows a tab as the text `#011`; a value ends there, too.
        """
        match = re.search(self.regex, line)
        return float(match[1].partition("#011")[0]) if match else None


class Metrics:
    """All metrics of an algorithm."""

    def __init__(self, *metrics: Metric) -> None:
        self.metrics = {metric.name: metric for metric in metrics}
        if len(self.metrics) != len(metrics):
            raise ValueError("a metric is declared twice")

    def definitions(self) -> list[dict[str, str]]:
        """The MetricDefinitions of CreateTrainingJob and of a TrainingSpecification."""
        return [{"Name": metric.name, "Regex": metric.regex} for metric in self.metrics.values()]

    def objectives(self) -> list[dict[str, str]]:
        """The SupportedTuningJobObjectiveMetrics of a TrainingSpecification."""
        return [
            {"Type": metric.goal, "MetricName": metric.name}
            for metric in self.metrics.values()
            if metric.goal is not None
        ]

"""Log lines in the form that SageMaker's own algorithms print, which its metric regexes expect.

    [11/21/2026 05:37:02 INFO 140225] #quality_metric: host=algo-1, epoch=0, train mse <loss>=0.5
    #metrics {"StartTime": ..., "EndTime": ..., "Dimensions": {...}, "Metrics": {...}}

The platform applies a job's MetricDefinitions to every line of standard output and standard error
(developer guide, "Define Training Metrics"). The module's name leaves `logging` to Python.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TextIO

LINE_FORMAT = "[%(asctime)s %(levelname)s %(thread)d] %(message)s"
TIME_FORMAT = "%m/%d/%Y %H:%M:%S"

QualityKind = Literal["loss", "score"]


class _CurrentStdout(logging.StreamHandler[TextIO]):
    """Writes to what sys.stdout is at the time of the line, so that redirection works."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stdout

    @stream.setter
    def stream(self, value: TextIO) -> None:
        raise AttributeError("this handler always writes to sys.stdout")


def configure(level: int | str = logging.INFO) -> None:
    """Send all log records of the process to standard output with the algorithms' line prefix."""
    handler = _CurrentStdout()
    handler.setFormatter(logging.Formatter(LINE_FORMAT, TIME_FORMAT))
    logging.basicConfig(level=level, handlers=[handler], force=True)


@dataclass(frozen=True)
class Aggregate:
    """One value of a `#metrics` line: what a counter or timer saw between two times."""

    total: float
    count: int
    minimum: float
    maximum: float

    @classmethod
    def of(cls, *values: float) -> Aggregate:
        """The aggregate of at least one value."""
        return cls(sum(values), len(values), min(values), max(values))

    def as_dict(self) -> dict[str, float]:
        """The wire names of the four numbers."""
        return {
            "sum": self.total,
            "count": self.count,
            "min": self.minimum,
            "max": self.maximum,
        }


def metrics_line(
    metrics: Mapping[str, Aggregate],
    *,
    start: float,
    end: float,
    dimensions: Mapping[str, str | int],
) -> str:
    """A `#metrics` line; `start` and `end` are Unix seconds.

    `dimensions` holds Algorithm, Host and Operation, and epoch or model where they apply. This
    line is printed as it is, without the log prefix, so that tools can parse what follows the tag.
    """
    document = {
        "StartTime": start,
        "EndTime": end,
        "Dimensions": dict(dimensions),
        "Metrics": {name: aggregate.as_dict() for name, aggregate in metrics.items()},
    }
    return f"#metrics {json.dumps(document)}"


def print_metrics(
    metrics: Mapping[str, Aggregate],
    *,
    start: float,
    end: float,
    dimensions: Mapping[str, str | int],
) -> None:
    """Print a `#metrics` line at once (see `metrics_line`)."""
    print(metrics_line(metrics, start=start, end=end, dimensions=dimensions), flush=True)


def progress_line(host: str, percent: float, unit: str = "epochs") -> str:
    """`#progress_metric: host=algo-1, completed 100.0 % of epochs`; `percent` from 0 to 100."""
    return f"#progress_metric: host={host}, completed {float(percent)!r} % of {unit}"


def throughput_line(host: str, records_per_second: float) -> str:
    """`#throughput_metric: host=algo-1, train throughput=123.4 records/second`."""
    rate = f"{records_per_second!r} records/second"
    return f"#throughput_metric: host={host}, train throughput={rate}"


def quality_line(
    host: str,
    dataset: str,
    name: str,
    value: float,
    *,
    kind: QualityKind = "loss",
    epoch: int | None = None,
    batch: int | None = None,
) -> str:
    """`#quality_metric: host=algo-1, epoch=0, train squared_loss_objective <loss>=0.5`.

    `dataset` is the channel: train, validation or test. `epoch` and `batch` are left out of final
    values.
    """
    place = [f"host={host}"]
    if epoch is not None:
        place.append(f"epoch={epoch}")
    if batch is not None:
        place.append(f"batch={batch}")
    return f"#quality_metric: {', '.join(place)}, {dataset} {name} <{kind}>={float(value)!r}"


def score_line(host: str, name: str, value: float) -> str:
    """`#test_score (algo-1) : ('accuracy', 0.92)`."""
    return f"#test_score ({host}) : {(name, float(value))!r}"

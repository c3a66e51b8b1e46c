"""A job's log: lines that people know from these algorithms and that metric regexes look for.

`sagelocal_train.log_lines` has the form of each line; here is what a job says when, with its host,
its algorithm and its clock filled in. Which metrics there are under which names was taken from
logs of real jobs.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sagelocal_train.hyperparameters import Hyperparameters, Values, as_text
from sagelocal_train.log_lines import (
    Aggregate,
    QualityKind,
    print_metrics,
    progress_line,
    quality_line,
    throughput_line,
)

logger = logging.getLogger("sagelocal_first_party")


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure; `kind` says whether less (loss) or more (score) is better."""

    name: str
    value: float
    kind: QualityKind


@dataclass(slots=True)
class _Seen:
    """What was read from the training data so far."""

    records: int = 0
    batches: int = 0
    most_records: int = 0
    most_batches: int = 0
    resets: int = 0


@dataclass(slots=True)
class JobLog:
    """Writes the lines of one training job."""

    host: str
    algorithm: str
    started: float = field(default_factory=time.time)
    lap_started: float = field(default_factory=time.time)
    _seen: _Seen = field(default_factory=_Seen)

    def info(self, text: str, *values: object) -> None:
        """A line of the family's own, as `logging.info` takes it."""
        logger.info(text, *values)

    def warning(self, text: str, *values: object) -> None:
        """The same as a warning."""
        logger.warning(text, *values)

    def configuration(
        self, table: Hyperparameters, raw: Mapping[str, str], values: Values, path: object
    ) -> None:
        """The defaults, what the job provides, and what comes out."""
        defaults = {
            name: as_text(declared.default)
            for name, declared in table.declarations.items()
            if declared.default is not None
        }
        self.info("Reading default configuration from the hyperparameter table: %s", defaults)
        self.info("Merging with provided configuration from %s: %s", path, dict(raw))
        final = {name: as_text(value) for name, value in values.items() if value is not None}
        self.info("Final configuration: %s", final)

    def lap(self) -> float:
        """Begin the time that the next `metrics` cover; seconds since it was last done."""
        before, self.lap_started = self.lap_started, time.time()
        return self.lap_started - before

    def metrics(
        self,
        values: Mapping[str, float | Aggregate],
        *,
        since: float | None = None,
        **dimensions: str | int,
    ) -> None:
        """A `#metrics` line over the time since the last lap, or since `since` (Unix seconds)."""
        aggregates = {
            name: value if isinstance(value, Aggregate) else Aggregate.of(value)
            for name, value in values.items()
        }
        print_metrics(
            aggregates,
            start=self.lap_started if since is None else since,
            end=time.time(),
            dimensions={
                "Algorithm": self.algorithm,
                "Host": self.host,
                "Operation": "training",
                **dimensions,
            },
        )

    def data_seen(
        self, records: int, batches: int, meta: str = "training_data_iter", **dimensions: int
    ) -> None:
        """The `#metrics` line after a pass over data of so many records and batches."""
        seen = self._seen
        seen.records += records
        seen.batches += batches
        seen.most_records = max(seen.most_records, records)
        seen.most_batches = max(seen.most_batches, batches)
        self.metrics(
            {
                "Total Records Seen": float(seen.records),
                "Total Batches Seen": float(seen.batches),
                "Max Records Seen Between Resets": float(seen.most_records),
                "Max Batches Seen Between Resets": float(seen.most_batches),
                "Reset Count": float(seen.resets),
                "Number of Records Since Last Reset": float(records),
                "Number of Batches Since Last Reset": float(batches),
            },
            **dimensions,
            Meta=meta,
        )
        seen.resets += 1

    def progress(self, percent: float) -> None:
        """`#progress_metric: ..., completed 50.0 % of epochs`."""
        self.info(progress_line(self.host, percent))

    def throughput(self, records: int, seconds: float) -> None:
        """`#throughput_metric: ..., train throughput=... records/second`."""
        self.info(throughput_line(self.host, records / max(seconds, 1e-9)))

    def epoch_over(
        self, records: int, batches: int, seconds: float, epoch: int = 0, epochs: int = 1
    ) -> None:
        """The lines after each pass over the training data, `epoch` counted from 0."""
        self.progress(100 * (epoch + 1) / epochs)
        self.data_seen(records, batches, epoch=epoch)
        self.throughput(records, seconds)
        self.lap()

    def quality(
        self,
        dataset: str,
        name: str,
        value: float,
        kind: QualityKind = "loss",
        epoch: int | None = None,
    ) -> None:
        """`#quality_metric: host=algo-1, train msd <loss>=0.064`."""
        self.info(quality_line(self.host, dataset, name, value, kind=kind, epoch=epoch))

    def final(self, dataset: str, metrics: Sequence[Metric], scores: bool = True) -> None:
        """The final model's figures on a channel, as `#test_score` (unless not wanted) and
        `#quality_metric`."""
        if scores:
            for metric in metrics:
                self.info("#%s_score (%s) : %r", dataset, self.host, (metric.name, metric.value))
        for metric in metrics:
            self.quality(dataset, metric.name, metric.value, metric.kind)

    def tested(self, metrics: Sequence[Metric] | None) -> None:
        """The final model's figures on the channel `test`; None where the job has none."""
        if metrics is None:
            self.info("Test data is not provided.")
        else:
            self.final("test", metrics)

    def chosen(self, what: str, values: Mapping[str, object]) -> None:
        """A line that ends in a JSON object."""
        self.info("%s: %s", what, json.dumps(dict(values)))

    def over(self, **more: float) -> None:
        """How long the job took, in milliseconds as the originals count."""
        total = (time.time() - self.started) * 1000
        self.metrics({"totaltime": total, **more}, since=self.started)

"""The job's log: lines that people know from this algorithm and that metric regexes look for."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sagelocal_train.hyperparameters import Values, as_text
from sagelocal_train.log_lines import (
    Aggregate,
    print_metrics,
    progress_line,
    quality_line,
    throughput_line,
)

from sagelocal_linear_learner.candidates import Candidate
from sagelocal_linear_learner.fit import EpochReport
from sagelocal_linear_learner.metrics import Metric
from sagelocal_linear_learner.settings import Settings

log = logging.getLogger("sagelocal_linear_learner")

Vector = NDArray[np.float64]

ALGORITHM = "Linear Learner"


def say_configuration(raw: Mapping[str, str], values: Values, defaults: Mapping[str, str]) -> None:
    """The defaults, what the job provides, and what comes out."""
    log.info("Reading default configuration from the hyperparameter table: %s", dict(defaults))
    log.info(
        "Merging with provided configuration from /opt/ml/input/config/hyperparameters.json: %s",
        dict(raw),
    )
    final = {name: as_text(value) for name, value in values.items() if value is not None}
    log.info("Final configuration: %s", final)


@dataclass(slots=True)
class Reporter:
    """Writes the lines of one training job."""

    host: str
    loss: str
    settings: Settings
    started: float = field(default_factory=time.time)
    _epoch_started: float = field(default_factory=time.time)

    def epoch(self, epoch: EpochReport) -> None:
        """The lines of an epoch that is over."""
        now = time.time()
        self._losses("train", epoch.train_losses, epoch.epoch, now)
        if epoch.validation_losses is not None:
            self._losses("validation", epoch.validation_losses, epoch.epoch, now)
        log.info(
            "#early_stopping_criteria_metric: host=%s, epoch=%d, criteria=%s_objective, value=%r",
            self.host,
            epoch.epoch,
            self.loss,
            epoch.best_loss,
        )
        if epoch.improved:
            log.info("Epoch %d: Loss improved. Updating best model", epoch.epoch)
        else:
            log.info("Epoch %d: Loss has not improved for any model", epoch.epoch)
        log.info(progress_line(self.host, 100 * (epoch.epoch + 1) / self.settings.epochs))
        self._print(
            {"Total Records Seen": Aggregate.of(float(epoch.records * (epoch.epoch + 1)))},
            now,
            {"epoch": epoch.epoch, "Meta": "training_data_iter"},
        )
        log.info(throughput_line(self.host, epoch.records / max(epoch.seconds, 1e-9)))
        self._epoch_started = now

    def final(self, dataset: str, metrics: Sequence[Metric]) -> None:
        """The final model's figures on a channel."""
        for metric in metrics:
            log.info("#%s_score (%s) : %r", dataset, self.host, (metric.name, metric.value))
        for metric in metrics:
            log.info(quality_line(self.host, dataset, metric.name, metric.value, kind=metric.kind))

    def best(self, candidate: Candidate) -> None:
        """What the best model was trained with."""
        chosen = {
            "optimizer": self.settings.optimizer,
            "learning_rate": candidate.learning_rate,
            "l1": candidate.l1,
            "wd": candidate.wd,
            "lr_scheduler_step": candidate.lr_scheduler_step,
            "lr_scheduler_factor": candidate.lr_scheduler_factor,
            "lr_scheduler_minimum_lr": candidate.lr_scheduler_minimum_lr,
        }
        log.info("Best model found for hyperparameters: %s", json.dumps(chosen))

    def saved(self, checkpoint: Path) -> None:
        """Where the parameters were written first."""
        log.info('Saved checkpoint to "%s"', checkpoint)

    def over(self, epochs: int) -> None:
        """How long it took, in milliseconds as the original counts."""
        now = time.time()
        self._epoch_started = self.started
        total = (now - self.started) * 1000
        self._print({"totaltime": Aggregate.of(total), "epochs": Aggregate.of(epochs)}, now, {})

    def _losses(self, dataset: str, losses: Vector, epoch: int, now: float) -> None:
        """A #metrics line for every model, and the leading one's loss as quality metric."""
        name = f"{dataset}_{self.loss}_objective"
        for model, loss in enumerate(losses.tolist()):
            if np.isfinite(loss):  # JSON has no infinity for a model that has diverged.
                self._print({name: Aggregate.of(loss)}, now, {"epoch": epoch, "model": model})
        leading = float(losses.min())
        log.info(quality_line(self.host, dataset, f"{self.loss}_objective", leading, epoch=epoch))

    def _print(
        self, metrics: Mapping[str, Aggregate], now: float, more: Mapping[str, str | int]
    ) -> None:
        dimensions = {"Algorithm": ALGORITHM, "Host": self.host, "Operation": "training", **more}
        print_metrics(metrics, start=self._epoch_started, end=now, dimensions=dimensions)

"""What this algorithm says in its log besides what all of them say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sagelocal_first_party.log import JobLog

from sagelocal_linear_learner.candidates import Candidate
from sagelocal_linear_learner.fit import EpochReport
from sagelocal_linear_learner.settings import Settings

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reporter:
    """Writes the lines of one training job."""

    log: JobLog
    loss: str
    settings: Settings

    def epoch(self, epoch: EpochReport) -> None:
        """The lines of an epoch that is over."""
        self._losses("train", epoch.train_losses, epoch.epoch)
        if epoch.validation_losses is not None:
            self._losses("validation", epoch.validation_losses, epoch.epoch)
        self.log.info(
            "#early_stopping_criteria_metric: host=%s, epoch=%d, criteria=%s_objective, value=%r",
            self.log.host,
            epoch.epoch,
            self.loss,
            epoch.best_loss,
        )
        if epoch.improved:
            self.log.info("Epoch %d: Loss improved. Updating best model", epoch.epoch)
        else:
            self.log.info("Epoch %d: Loss has not improved for any model", epoch.epoch)
        self.log.epoch_over(
            epoch.records, epoch.batches, epoch.seconds, epoch.epoch, self.settings.epochs
        )

    def best(self, candidate: Candidate) -> None:
        """What the best model was trained with."""
        chosen: Mapping[str, object] = {
            "optimizer": self.settings.optimizer,
            "learning_rate": candidate.learning_rate,
            "l1": candidate.l1,
            "wd": candidate.wd,
            "lr_scheduler_step": candidate.lr_scheduler_step,
            "lr_scheduler_factor": candidate.lr_scheduler_factor,
            "lr_scheduler_minimum_lr": candidate.lr_scheduler_minimum_lr,
        }
        self.log.chosen("Best model found for hyperparameters", chosen)

    def _losses(self, dataset: str, losses: Vector, epoch: int) -> None:
        """A #metrics line for every model, and the leading one's loss as quality metric."""
        name = f"{dataset}_{self.loss}_objective"
        for model, loss in enumerate(losses.tolist()):
            if np.isfinite(loss):  # JSON has no infinity for a model that has diverged.
                self.log.metrics({name: loss}, epoch=epoch, model=model)
        self.log.quality(dataset, f"{self.loss}_objective", float(losses.min()), epoch=epoch)

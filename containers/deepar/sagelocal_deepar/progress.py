"""The log of a training: the original's lines, as its users' regular expressions have them."""

from __future__ import annotations

import time

from sagelocal_first_party import JobLog

from sagelocal_deepar.accuracy import Accuracy

_EVERY_BATCHES = 5


class Progress:
    """Says how far the training is."""

    def __init__(self, log: JobLog, epochs: int) -> None:
        self._log = log
        self._epochs = epochs
        self._total = 0.0
        self._batches = 0
        self._examples = 0
        self._began = time.monotonic()

    @property
    def mean_loss(self) -> float:
        """Of the batches of this epoch."""
        return self._total / max(self._batches, 1)

    def epoch_begins(self) -> None:
        """Forget the epoch before."""
        self._total, self._batches, self._examples = 0.0, 0, 0
        self._began = time.monotonic()
        self._log.lap()

    def batch_over(
        self, epoch: int, batch: int, loss: float, examples: int, seconds: float
    ) -> None:
        """A step of the optimiser; every fifth is said."""
        self._total += loss
        self._batches += 1
        self._examples += examples
        if batch % _EVERY_BATCHES:
            return
        self._log.info("Epoch[%d] Batch[%d] avg_epoch_loss=%.6f", epoch, batch, self.mean_loss)
        # Unlike other lines of this kind, this one has no comma after the batch.
        self._log.info(
            "#quality_metric: host=%s, epoch=%d, batch=%d train loss <loss>=%r",
            *(self._log.host, epoch, batch, self.mean_loss),
        )
        if batch:
            speed = examples / max(seconds, 1e-9)
            self._log.info(
                "Epoch[%d] Batch [%d]\tSpeed: %.2f samples/sec\tloss=%.6f",
                *(epoch, batch, speed, self.mean_loss),
            )

    def epoch_over(self, epoch: int, loss: float, improved: bool) -> None:
        """An epoch, and whether its loss is the least so far."""
        seconds = time.monotonic() - self._began
        self._log.info("processed a total of %d examples", self._examples)
        times = {"update.time": 1000 * seconds}
        self._log.metrics(({"epochs": float(self._epochs)} if not epoch else {}) | times)
        self._log.throughput(self._examples, seconds)
        self._log.progress(100 * (epoch + 1) / self._epochs)
        self._log.quality("train", "loss", loss, epoch=epoch)
        self._log.info("best epoch loss so far" if improved else "loss did not improve")

    def stopping_early(self) -> None:
        """The patience is over."""
        self._log.info("stopping training now")
        self._log.progress(100)

    def over(self, loss: float, epoch: int) -> None:
        """The training, whose best epoch is kept."""
        self._log.info("Final loss: %r (occurred at epoch %d)", loss, epoch)
        self._log.quality("train", "final_loss", loss)
        self._log.info("Worker %s finished training.", self._log.host)

    def tested(self, figures: Accuracy) -> None:
        """The figures on the test channel."""
        scores = {
            "RMSE": figures.rmse,
            "mean_absolute_QuantileLoss": figures.mean_absolute_quantile_loss,
            "mean_wQuantileLoss": figures.mean_weighted_quantile_loss,
        }
        scores |= {
            f"wQuantileLoss[{quantile:g}]": loss
            for quantile, loss in figures.weighted_quantile_losses.items()
        }
        for name, value in scores.items():
            self._log.info("#test_score (%s, %s): %r", self._log.host, name, value)
        self._log.quality("test", "RMSE", figures.rmse)
        self._log.quality("test", "mean_wQuantileLoss", figures.mean_weighted_quantile_loss)

"""Training: windows of all series, one step of Adam after the other, the best epoch kept.

An epoch sees each series once, or small data so often that there are ten steps, as the original
does and says. Where a forecast begins in its series is random.

Several hosts have the same random numbers, and each computes its part of the windows of a step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mxnet as mx
import numpy as np
from numpy.typing import NDArray
from sagelocal_first_party.hosts import ALONE
from sagelocal_train.errors import AlgorithmError

from sagelocal_deepar.dataset import Integers, Laid, Windows, seen
from sagelocal_deepar.hyperparameters import Settings
from sagelocal_deepar.network import Network, losses
from sagelocal_deepar.progress import Progress
from sagelocal_deepar.series import Series
from sagelocal_deepar.shape import Shape
from sagelocal_deepar.together import Together

SEED = 10
_LEAST_BATCHES = 10
_STEEPEST = 10.0


@dataclass(frozen=True, slots=True)
class Passes:
    """How often an epoch goes through the series, and with which share of them each time."""

    count: int
    share: float

    @staticmethod
    def over(series: int, mini_batch_size: int) -> Passes:
        """At least ten steps in each epoch."""
        wanted = _LEAST_BATCHES * mini_batch_size
        if series >= wanted:
            return Passes(1, 1.0)
        count = math.ceil(wanted / series)
        return Passes(count, wanted / (series * count))

    def batches(self, series: int, size: int, random: np.random.Generator) -> Iterator[Integers]:
        """The numbers of the series of each step of an epoch."""
        chosen = [
            random.permutation(series)[random.random(series) < self.share]
            for _ in range(self.count)
        ]
        numbers = np.concatenate(chosen)
        if not len(numbers):
            numbers = random.integers(0, series, 1)
        for first in range(0, len(numbers), size):
            yield numbers[first : first + size]


class Trainer:
    """A network on its way to a model."""

    def __init__(
        self,
        series: Sequence[Series],
        shape: Shape,
        settings: Settings,
        together: Together | None = None,
    ) -> None:
        self._settings = settings
        self._together = together or Together(ALONE)
        self._batch = settings.mini_batch_size * self._together.size
        self._shape = shape
        self._laid = Laid(series, shape, room_after=shape.prediction_length)
        # Where forecasts may begin; half of the context is known where series are long enough.
        self._latest = np.maximum(self._laid.lengths - shape.prediction_length, 1)
        self._earliest = np.minimum(self._latest, max(shape.context_length // 2, 1))
        self.passes = Passes.over(len(series), self._batch)
        self._random = np.random.default_rng(SEED)
        mx.random.seed(SEED)
        # MXNet's initializers draw from numpy's global generator.
        np.random.seed(SEED)
        self.network = Network(shape, settings.dropout_rate)
        self.network.initialize(mx.init.Xavier())
        if self._together.rank:
            # What is left out at random is each host's own.
            mx.random.seed(SEED + self._together.rank)
        # Memory and plan are kept from step to step: a sixth less time, and the same numbers.
        self.network.hybridize(static_alloc=True, static_shape=True)
        self._adam = mx.gluon.Trainer(
            self.network.collect_params(),
            "adam",
            {"learning_rate": settings.learning_rate, "clip_gradient": _STEEPEST},
        )

    def train(self, progress: Progress) -> None:
        """All epochs, or until the loss improves no more; leaves the weights of the best.

        Raises AlgorithmError.
        """
        best, best_epoch, best_weights = math.inf, 0, self.weights()
        for epoch in range(self._settings.epochs):
            loss = self._epoch(epoch, progress)
            improved = loss < best
            if improved:
                best, best_epoch, best_weights = loss, epoch, self.weights()
            progress.epoch_over(epoch, loss, improved)
            patience = self._settings.early_stopping_patience
            if patience is not None and epoch - best_epoch >= patience:
                progress.stopping_early()
                break
        if not math.isfinite(best):
            raise AlgorithmError(
                "Training led nowhere: the loss of no epoch is a finite number. Lower "
                "learning_rate, or check the values of the channel 'train'"
            )
        self._put_back(best_weights)
        progress.over(best, best_epoch)

    def weights(self) -> dict[str, NDArray[Any]]:
        """The network's arrays by their names."""
        return {
            name: parameter.data().asnumpy()
            for name, parameter in self.network.collect_params().items()
        }

    def _put_back(self, weights: dict[str, NDArray[Any]]) -> None:
        for name, parameter in self.network.collect_params().items():
            parameter.set_data(mx.nd.array(weights[name]))

    def _epoch(self, epoch: int, progress: Progress) -> float:
        count = len(self._laid.lengths)
        progress.epoch_begins()
        for batch, numbers in enumerate(self.passes.batches(count, self._batch, self._random)):
            started = time.monotonic()
            begins = self._random.integers(self._earliest[numbers], self._latest[numbers] + 1)
            mine, weight = self._together.own(len(numbers))
            loss = self._step(self._laid.windows(numbers[mine], begins[mine]), weight)
            progress.batch_over(epoch, batch, loss, len(numbers), time.monotonic() - started)
        return progress.mean_loss

    def _step(self, windows: Windows, weight: float) -> float:
        """One step of Adam; the loss before it, for values as they are, over all hosts."""
        shape = self._shape
        location, scale = windows.location[:, None], windows.scale[:, None]
        there = ~np.isnan(windows.values)
        count = max(int(there.sum()), 1)
        target = windows.values
        if shape.likelihood not in ("negative-binomial", "beta"):
            target = (target - location) / scale
        scales = np.broadcast_to(scale, target.shape)
        inputs = (seen(windows.lagged, location, scale), windows.features)
        arguments = [mx.nd.array(_steps_first(each)) for each in inputs]
        if shape.cardinality:
            arguments.append(mx.nd.array(windows.categories))
        wanted, mask, sizes = (
            mx.nd.array(_steps_first(each.astype(np.float32)))
            for each in (np.where(there, target, np.float32(0.5)), there, scales)
        )
        with mx.autograd.record():
            raw = self.network(*arguments)
            each = losses(shape.likelihood, raw, wanted, sizes) * mask
            loss = each.sum() / count
        loss.backward()
        if shape.likelihood == "deterministic-L1":
            said = float((each * sizes).sum().asscalar()) / count
        else:
            said = float(loss.asscalar())
            if shape.likelihood != "negative-binomial":
                said += float((np.log(scales) * there).sum()) / count
        parameters = list(self.network.collect_params().values())
        counted, total = self._together.mean(parameters, weight * count, weight * count * said)
        self._adam.step(1)
        return total / max(counted, 1.0) if self._together.size > 1 else said


def _steps_first(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array.swapaxes(0, 1))

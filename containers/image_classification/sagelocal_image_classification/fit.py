"""The training itself: epochs of batches, and after each the accuracy and perhaps a checkpoint.

MXNet reads OMP_NUM_THREADS when it is loaded, so this module and all that import mxnet are loaded
after `training` has set it.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import mxnet as mx
import numpy as np
from sagelocal_train.environment import Environment
from sagelocal_train.errors import AlgorithmError

from sagelocal_image_classification import artifact, network
from sagelocal_image_classification.batches import SEED, Batch, Batches
from sagelocal_image_classification.beginning import Beginning, begin
from sagelocal_image_classification.checkpoints import Checkpoints, restore
from sagelocal_image_classification.dataset import Dataset
from sagelocal_image_classification.figures import Figures
from sagelocal_image_classification.hyperparameters import Settings
from sagelocal_image_classification.losses import Loss, weights_of
from sagelocal_image_classification.progress import Progress
from sagelocal_image_classification.together import Together

log = logging.getLogger("sagelocal_image_classification")

_BATCHES_A_LINE = 20


def fit(
    train: Dataset,
    validation: Dataset,
    settings: Settings,
    environment: Environment,
    scratch: Path,
    together: Together,
) -> None:
    """Train, and save what is best; raises UserError, or AlgorithmError if it leads nowhere.

    All hosts of a job do so together, and the first one saves.
    """
    mx.random.seed(SEED)
    checkpoints = Checkpoints.of(environment, settings)
    resumed = checkpoints.read()
    beginning = begin(environment, settings, scratch)
    if resumed is not None:
        beginning = replace(beginning, arguments=resumed.arguments, auxiliary=resumed.auxiliary)
    module = _module(beginning, settings)
    progress = Progress(settings) if resumed is None else resumed.progress
    together.check_alike(progress.epochs)
    together.begin_alike(module)
    steps = together.most(math.ceil(len(train) / settings.mini_batch_size))
    _init_optimizer(module, settings, steps, progress.epochs, together.size)
    folder = environment.paths.model
    if together.is_first:
        symbol = network.head(beginning.scores, settings.multi_label)
        artifact.save_network(symbol, settings.image_shape, settings.mini_batch_size, folder)
    loss = _loss(train, settings, together)
    threads = environment.num_cpus
    seed = SEED + together.rank
    learned = Batches(train, settings, training=True, threads=threads, seed=seed)
    measured = Batches(validation, settings, training=False, threads=threads)
    keeper = _Keeper(module, folder, settings, together.is_first)
    if resumed is not None:
        module.load_optimizer_states(str(resumed.states))
        if together.is_first:
            keeper.saved = restore(resumed.saved, folder)
    while not progress.is_over:
        epoch = progress.epochs
        _train_epoch(module, learned.steps(steps), loss, epoch, settings, together)
        accuracy = _accuracy(module, measured, loss, together)
        log.info("Epoch[%d] Validation-accuracy=%f", epoch, accuracy)
        keeper.after(epoch, accuracy, progress.add(accuracy))
        if together.is_first:
            checkpoints.write(module, progress, keeper.saved)
    if progress.stops_early:
        log.info(
            "Early stopping: the validation accuracy did not improve for %d epochs. The best was "
            "%f",
            settings.early_stopping_patience,
            progress.best,
        )
    keeper.at_the_end(progress.epochs)


def _module(beginning: Beginning, settings: Settings) -> Any:
    module = mx.mod.Module(
        beginning.scores, data_names=[beginning.input_name], label_names=None, context=mx.cpu()
    )
    shape = (settings.mini_batch_size, *settings.image_shape)
    try:
        module.bind([(beginning.input_name, shape)], for_training=True)
        module.init_params(
            mx.init.Xavier(rnd_type="gaussian", factor_type="in", magnitude=2),
            arg_params=beginning.arguments,
            aux_params=beginning.auxiliary,
            allow_missing=True,
            allow_extra=True,
        )
    except mx.MXNetError as error:
        raise AlgorithmError(
            f"The network cannot be built for batches of shape {shape}: {error}"
        ) from error
    return module


def _init_optimizer(
    module: Any, settings: Settings, batches_an_epoch: int, epochs_before: int, hosts: int
) -> None:
    options: dict[str, Any] = {
        "learning_rate": settings.learning_rate,
        "wd": settings.weight_decay,
        "rescale_grad": 1 / (settings.mini_batch_size * hosts),
        "begin_num_update": epochs_before * batches_an_epoch,
    }
    if settings.optimizer in ("sgd", "nag"):
        options |= {"momentum": settings.momentum}
    elif settings.optimizer == "adam":
        options |= {"beta1": settings.beta_1, "beta2": settings.beta_2, "epsilon": settings.eps}
    else:
        options |= {"gamma1": settings.gamma, "epsilon": settings.eps}
    if settings.lr_scheduler_step:
        options["lr_scheduler"] = mx.lr_scheduler.MultiFactorScheduler(
            [epoch * batches_an_epoch for epoch in settings.lr_scheduler_step],
            settings.lr_scheduler_factor,
            settings.learning_rate,
        )
    module.init_optimizer(kvstore=None, optimizer=settings.optimizer, optimizer_params=options)


def _loss(train: Dataset, settings: Settings, together: Together) -> Loss:
    weights = None
    if settings.use_weighted_loss and settings.multi_label:
        sums = together.total(np.append(train.label_sums, len(train)))
        weights = weights_of(sums[:-1], int(sums[-1]))
    return Loss(settings.num_classes, settings.multi_label, weights)


def _train_epoch(
    module: Any,
    batches: Iterator[Batch],
    loss: Loss,
    epoch: int,
    settings: Settings,
    together: Together,
) -> None:
    figures = Figures(settings.multi_label, settings.top_k)
    started = lap = time.monotonic()
    for number, batch in enumerate(batches):
        module.forward(mx.io.DataBatch([batch.images]), is_train=True)
        probabilities = loss.probabilities(module.get_outputs()[0])
        module.backward([loss.gradient(probabilities, batch.labels)])
        together.add_gradients(module)
        module.update()
        figures.add(probabilities.asnumpy(), batch.labels.asnumpy())
        if number and number % _BATCHES_A_LINE == 0:
            now = time.monotonic()
            rate = _BATCHES_A_LINE * settings.mini_batch_size / (now - lap)
            lap = now
            _say_batch(epoch, number, rate, figures)
        if not figures.is_finite:
            raise AlgorithmError(
                f"The training diverged in epoch {epoch}, batch {number}: the network answers "
                "with numbers that are not finite. Lower learning_rate"
            )
    together.average_states(module)
    figures.counts = together.total(figures.counts)
    for name, value in figures.named().items():
        log.info("Epoch[%d] Train-%s=%f", epoch, name, value)
    log.info("Epoch[%d] Time cost=%.3f", epoch, time.monotonic() - started)


def _say_batch(epoch: int, number: int, rate: float, figures: Figures) -> None:
    values = "".join(f"\t{name}={value:f}" for name, value in figures.named().items())
    log.info("Epoch[%d] Batch [%d]\tSpeed: %.3f samples/sec%s", epoch, number, rate, values)


def _accuracy(module: Any, batches: Batches, loss: Loss, together: Together) -> float:
    figures = Figures(loss.multi_label)
    for batch in batches.epoch():
        figures.add(*_answered(module, batch, loss))
    figures.counts = together.total(figures.counts)
    return figures.accuracy


def _answered(module: Any, batch: Batch, loss: Loss) -> tuple[Any, Any]:
    """Probabilities and labels of the images that count."""
    module.forward(mx.io.DataBatch([batch.images]), is_train=False)
    probabilities = loss.probabilities(module.get_outputs()[0]).asnumpy()
    count = len(probabilities) - batch.padding
    return probabilities[:count], batch.labels.asnumpy()[:count]


class _Keeper:
    """Saves parameters: every so many epochs, or those of the best epoch alone.

    Of several hosts only the first one `saves`.
    """

    def __init__(self, module: Any, folder: Path, settings: Settings, saves: bool) -> None:
        self._saves = saves
        self._module = module
        self._folder = folder
        self._frequency = settings.checkpoint_frequency
        self.saved: list[Path] = []

    def after(self, epoch: int, accuracy: float, is_best: bool) -> None:
        """An epoch is over, counted from 0."""
        if not self._saves:
            return
        if self._frequency is not None:
            if (epoch + 1) % self._frequency == 0:
                self._save(epoch + 1)
        elif is_best:
            log.info("Storing the best model with validation accuracy: %f", accuracy)
            before = list(self.saved)
            self._save(epoch + 1)
            for path in before:
                path.unlink()
                self.saved.remove(path)

    def at_the_end(self, epochs: int) -> None:
        """Nothing must be lost: a job that ended before its first checkpoint saves the last."""
        if self._saves and not self.saved:
            self._save(epochs)

    def _save(self, epochs: int) -> None:
        arguments, auxiliary = self._module.get_params()
        path = artifact.save_parameters(arguments, auxiliary, epochs, self._folder)
        self.saved.append(path)
        log.info('Saved checkpoint to "%s"', path)

"""The training job: what SAGEMAKER_TRAINING_MODULE names.

inputs -> weights -> how wide forecasts must be -> artifact -> figures on the test channel

Several hosts find the weights together; what comes after is the first one's work.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from sagelocal_first_party.artifact import archive_name
from sagelocal_first_party.hosts import joined
from sagelocal_train.environment import Environment
from sagelocal_train.errors import AlgorithmError

from sagelocal_deepar import artifact, network
from sagelocal_deepar.accuracy import accuracy
from sagelocal_deepar.calibration import held_back, spread_of
from sagelocal_deepar.dataset import Integers
from sagelocal_deepar.fit import SEED, Passes, Trainer
from sagelocal_deepar.forecaster import Forecaster
from sagelocal_deepar.inputs import Inputs, read_inputs
from sagelocal_deepar.progress import Progress
from sagelocal_deepar.together import Together

_SERIES_AT_ONCE = 256


def main(environment: Environment | None = None) -> None:
    """Run the job that /opt/ml describes."""
    environment = Environment.read() if environment is None else environment
    with joined(environment.resources) as group:
        inputs = read_inputs(environment, group)
        progress = Progress(inputs.job.log, inputs.settings.epochs)
        trainer, held = _trained(inputs, progress, Together(group))
    if inputs.job.is_first_host:
        model = _saved(inputs, trainer, held)
        if inputs.test:
            _test(inputs, model, progress)
    else:
        inputs.job.log.info(
            "The model is the same on all hosts; %s saves it.", environment.hosts[0]
        )
    inputs.job.log.over()


def _trained(inputs: Inputs, progress: Progress, together: Together) -> tuple[Trainer, Integers]:
    """A network that has learned, and the series whose ends it has not seen."""
    job, series, shape = inputs.job, inputs.train, inputs.shape
    log = job.log
    held = held_back(
        series, shape.context_length, shape.prediction_length, np.random.default_rng(SEED)
    )
    kept = set(held.tolist())
    known = [
        each.until(-shape.prediction_length) if number in kept else each
        for number, each in enumerate(series)
    ]
    log.metrics({"initialize.time": 1000 * log.lap()}, since=log.started)
    trainer = Trainer(known, shape, inputs.settings, together)
    if trainer.passes != Passes(1, 1.0):
        log.info(
            "Small number of time series. Doing %d passes over dataset with prob %r per epoch.",
            *(trainer.passes.count, trainer.passes.share),
        )
    trainer.train(progress)
    return trainer, held


def _saved(inputs: Inputs, trainer: Trainer, held: Integers) -> Forecaster:
    """The model, with forecasts as wide as they must be, in the model folder too."""
    job, shape, log = inputs.job, inputs.shape, inputs.job.log
    weights = trainer.weights()
    spread = spread_of(Forecaster(shape, weights), inputs.train, held)
    log.info(
        "Forecasts are made %.2f times as wide, for 80 %% of values to lie where 80 %% should",
        spread,
    )
    shape = replace(shape, spread=spread)
    log.info("All workers finished. Serializing model for prediction.")
    folder = job.environment.paths.model
    folder.mkdir(parents=True, exist_ok=True)
    prefix = folder / archive_name(job.environment.current_host)
    log.lap()
    log.info("Serializing to %s", prefix)
    network.save(trainer.network, prefix)
    artifact.save_config(prefix, shape)
    log.info('Saved checkpoint to "%s%s"', prefix, artifact.PARAMETERS)
    log.metrics({"model.serialize.time": 1000 * log.lap()})
    log.info("Successfully serialized the model for prediction.")
    return Forecaster(shape, weights)


def _test(inputs: Inputs, model: Forecaster, progress: Progress) -> None:
    job, test, settings = inputs.job, inputs.test, inputs.settings
    length = settings.prediction_length
    job.log.info("Evaluating model accuracy on testset using %d samples", settings.num_eval_samples)
    job.log.lap()
    parts = [
        model.samples(
            [each.until(-length) for each in test[first : first + _SERIES_AT_ONCE]],
            settings.num_eval_samples,
        )
        for first in range(0, len(test), _SERIES_AT_ONCE)
    ]
    truth = np.stack([each.target[-length:] for each in test])
    figures = accuracy(truth, np.concatenate(parts), settings.test_quantiles)
    job.log.metrics({"model.score.time": 1000 * job.log.lap()})
    if not math.isfinite(figures.rmse):
        raise AlgorithmError("The forecasts of the channel 'test' are no finite numbers")
    progress.tested(figures)

"""The training job: what SAGEMAKER_TRAINING_MODULE names.

    configuration -> channels -> scales -> candidates -> fit -> best model -> metrics -> archive

Everything that the user can mend (hyperparameters, files, labels) ends as a UserError with one
message; training that leads nowhere ends as an AlgorithmError.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from sagelocal_first_party.channels import DataChannel
from sagelocal_first_party.job import Family, Job
from sagelocal_first_party.log import Metric
from sagelocal_first_party.rows import Dataset
from sagelocal_train.channels import Channels
from sagelocal_train.environment import Environment
from sagelocal_train.errors import AlgorithmError, UserError

from sagelocal_linear_learner import artifact, losses
from sagelocal_linear_learner.calibration import Choice, choose
from sagelocal_linear_learner.candidates import Circumstances, candidates
from sagelocal_linear_learner.fit import EpochReport, Fit, Problem, Task, fit
from sagelocal_linear_learner.hyperparameters import TABLE, settings_of
from sagelocal_linear_learner.losses import Loss
from sagelocal_linear_learner.metrics import evaluate
from sagelocal_linear_learner.model import LinearModel, Link
from sagelocal_linear_learner.report import Reporter
from sagelocal_linear_learner.scaling import Scale, Scaler, feature_scale, label_scale
from sagelocal_linear_learner.settings import Settings
from sagelocal_linear_learner.targets import (
    ClassWeights,
    PositiveWeights,
    balance,
    check_labels,
    targets_of,
)

log = logging.getLogger("sagelocal_linear_learner")

# Epochs of one batch would be 15 updates in all: too few for any optimiser.
LEAST_BATCHES = 32
LEAST_BATCH_SIZE = 4

_LOSSES: Mapping[str, Callable[[Settings], Loss]] = {
    "squared_loss": lambda settings: losses.Squared(),
    "absolute_loss": lambda settings: losses.Absolute(),
    "eps_insensitive_squared_loss": lambda settings: losses.EpsilonInsensitiveSquared(
        settings.loss_insensitivity
    ),
    "eps_insensitive_absolute_loss": lambda settings: losses.EpsilonInsensitiveAbsolute(
        settings.loss_insensitivity
    ),
    "quantile_loss": lambda settings: losses.Quantile(settings.quantile),
    "huber_loss": lambda settings: losses.Huber(settings.huber_delta),
    "logistic": lambda settings: losses.Logistic(),
    "hinge_loss": lambda settings: losses.Hinge(settings.margin),
    "softmax_loss": lambda settings: losses.Softmax(),
}
_LINKS: Mapping[str, Link] = {"logistic": "sigmoid", "softmax_loss": "softmax"}


FAMILY = Family(
    "Linear Learner",
    TABLE,
    Channels(
        DataChannel("train", required=True, help="What the model is fitted to."),
        DataChannel("validation", help="Decides which model is the best, and its threshold."),
        DataChannel("test", help="Only measured."),
    ),
)


def main(environment: Environment | None = None) -> None:
    """Run the job that /opt/ml describes."""
    job = Job.begin(FAMILY, environment)
    settings = settings_of(job.values)
    _check_hosts(job)
    datasets = _read_channels(job, settings)
    reporter = Reporter(job.log, loss_of(settings).metric, settings)
    trained = train(datasets["train"], datasets.get("validation"), settings, reporter.epoch)
    for name in ("train", "validation"):
        if name in datasets:
            job.log.final(name, trained.evaluate(datasets[name]))
    reporter.best(trained.task.candidates[trained.choice.candidate])
    if job.is_first_host:
        artifact.save(trained.model, job.artifact)
        job.log.info('Saved checkpoint to "%s/%s"', job.artifact, artifact.PARAMS)
    if "test" in datasets:
        job.log.final("test", trained.evaluate(datasets["test"]))
    else:
        job.log.no_test_data()
    job.log.over(epochs=trained.epochs)


def _check_hosts(job: Job) -> None:
    """Several hosts each train on all the data, and the first one's model is kept."""
    hosts = job.environment.hosts
    if len(hosts) == 1:
        return
    train = job.environment.channels.get("train")
    if train is not None and train.distribution == "ShardedByS3Key":
        raise UserError(
            f"The job has {len(hosts)} instances and shards the channel 'train' over them; this "
            "image trains on one. Set InstanceCount to 1 or S3DataDistributionType to "
            "FullyReplicated"
        )
    job.log.warning("Every host trains by itself; the model of %s is kept", hosts[0])


def _read_channels(job: Job, settings: Settings) -> dict[str, Dataset]:
    """The datasets of the channels that there are; raises UserError."""
    datasets: dict[str, Dataset] = {}
    width, width_is = settings.feature_dim, "feature_dim"
    for name in FAMILY.channels.declarations:
        if job.has(name):
            datasets[name] = job.read(name, width, width_is)
            check_labels(datasets[name], settings)
            width, width_is = datasets[name].rows.width, "the width of the training data"
    return datasets


@dataclass(frozen=True, slots=True)
class Trained:
    """The outcome of training."""

    model: LinearModel
    task: Task
    choice: Choice
    epochs: int

    def evaluate(self, dataset: Dataset) -> list[Metric]:
        """The model's figures on a dataset."""
        task = self.task
        return evaluate(self.model, dataset, task.settings, task.loss, task.scaler)


def train(
    dataset: Dataset,
    validation: Dataset | None,
    settings: Settings,
    report: Callable[[EpochReport], None] = lambda epoch: None,
) -> Trained:
    """Fit all candidates and keep the best; raises AlgorithmError if all of them diverge."""
    task = task_of(dataset, settings)
    judge = None if validation is None else _problem(validation, task)
    epochs: list[int] = []

    def count(epoch: EpochReport) -> None:
        epochs.append(epoch.epoch)
        report(epoch)

    fitted = fit(task, judge, count)
    if not np.isfinite(fitted.losses).any():
        raise AlgorithmError(
            f"The loss of all {len(task.candidates)} models is infinite or not a number: training "
            "diverged. Lower learning_rate or leave it at auto, and keep normalize_data on"
        )
    choice = choose(fitted, task, judge or task.train)
    return Trained(model_of(fitted, choice, task), task, choice, len(epochs))


def loss_of(settings: Settings) -> Loss:
    """The loss that the job names."""
    return _LOSSES[settings.loss](settings)


def task_of(dataset: Dataset, settings: Settings) -> Task:
    """Scales, candidates and targets for a training set."""
    settings = _with_batches(settings, len(dataset))
    scaler = _scaler(dataset, settings)
    targets = targets_of(dataset.labels, settings, scaler)
    chosen = candidates(settings, _circumstances(dataset, settings, scaler, targets))
    train = Problem(dataset.rows, targets)
    if settings.predictor_type == "binary_classifier":
        per_candidate = [candidate.positive_weight for candidate in chosen]
        if any(weight != 1 for weight in per_candidate):
            train = Problem(
                dataset.rows, targets, PositiveWeights.of(dataset.labels, per_candidate)
            )
    elif settings.balance_multiclass_weights and settings.outputs > 1:
        train = Problem(
            dataset.rows, targets, ClassWeights.of(dataset.labels, settings.num_classes)
        )
    return Task(settings, loss_of(settings), scaler, chosen, train)


def _with_batches(settings: Settings, rows: int) -> Settings:
    """The settings with the batch size that is used: a few hundred updates need small batches."""
    size = settings.mini_batch_size
    if settings.mini_batch_size_is_given and size < rows:
        return settings
    used = min(size, max(math.ceil(rows / LEAST_BATCHES), LEAST_BATCH_SIZE))
    if used != size:
        log.info("Batches have %d of the %d records (mini_batch_size: %d)", used, rows, size)
    return replace(settings, mini_batch_size=used)


def _problem(dataset: Dataset, task: Task) -> Problem:
    """A dataset to judge by: weighted as the training data is."""
    targets = targets_of(dataset.labels, task.settings, task.scaler)
    return Problem(dataset.rows, targets, task.train.weights)


def _scaler(dataset: Dataset, settings: Settings) -> Scaler:
    points = settings.num_point_for_scaler
    features = feature_scale(
        dataset.rows, points, normalize=settings.normalize_data, unbias=settings.unbias_data
    )
    if settings.predictor_type != "regressor":
        return Scaler(features, Scale.identity(1))
    label = label_scale(
        dataset.labels, points, normalize=settings.normalize_label, unbias=settings.unbias_label
    )
    return Scaler(features, label)


def _circumstances(
    dataset: Dataset, settings: Settings, scaler: Scaler, targets: losses.Targets
) -> Circumstances:
    sample = dataset.rows.part(0, min(len(dataset), settings.num_point_for_scaler, 4096))
    squares = np.square(scaler.scale_features(sample), dtype=np.float64)
    length = float(squares.sum(axis=1).mean())
    feature_size = math.sqrt(length / max(dataset.rows.width, 1)) or 1.0
    label_size = 1.0
    if settings.predictor_type == "regressor":
        label_size = float(np.sqrt(np.square(targets, dtype=np.float64).mean())) or 1.0
    return Circumstances(
        rows=len(dataset),
        updates=settings.epochs * math.ceil(len(dataset) / settings.mini_batch_size),
        parameters_per_model=dataset.rows.width * settings.outputs,
        mean_square_length=length,
        weight_size=label_size / feature_size,
        balance=balance(dataset.labels),
    )


def model_of(fitted: Fit, choice: Choice, task: Task) -> LinearModel:
    """The chosen candidate, for features and labels as they come."""
    settings = task.settings
    columns = fitted.parameters.columns(choice.candidate)
    weights, bias = task.scaler.fold(
        fitted.parameters.weights[:, columns].T.astype(np.float64),
        fitted.parameters.bias[columns].astype(np.float64),
    )
    link = _LINKS.get(settings.loss, "identity")
    threshold = choice.threshold
    if link == "sigmoid":
        threshold = float(losses.sigmoid(np.array([choice.threshold]))[0])
    return LinearModel(
        settings.predictor_type,
        weights.astype(np.float32),
        bias.astype(np.float32),
        link,
        threshold,
    )

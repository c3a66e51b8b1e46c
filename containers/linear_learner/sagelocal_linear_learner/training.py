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
from sagelocal_first_party.hosts import ALONE, Group, joined
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
    Counts,
    PositiveWeights,
    balance,
    check_labels,
    class_counts,
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
        DataChannel(
            "train",
            required=True,
            help="What the model is fitted to. May be sharded over hosts.",
        ),
        DataChannel("validation", help="Decides which model is the best, and its threshold."),
        DataChannel("test", help="Only measured."),
    ),
)


def main(environment: Environment | None = None) -> None:
    """Run the job that /opt/ml describes."""
    job = Job.begin(FAMILY, environment)
    settings = settings_of(job.values)
    datasets = _read_channels(job, settings)
    reporter = Reporter(job.log, loss_of(settings).metric, settings)
    with joined(job.environment.resources) as group:
        trained = train(
            datasets["train"], datasets.get("validation"), settings, reporter.epoch, group
        )
        figures = {name: trained.evaluate(dataset) for name, dataset in datasets.items()}
    for name in ("train", "validation"):
        job.log.final(name, figures.get(name, ()))
    reporter.best(trained.task.candidates[trained.choice.candidate])
    if job.is_first_host:
        artifact.save(trained.model, job.artifact)
        job.log.info('Saved checkpoint to "%s/%s"', job.artifact, artifact.PARAMS)
    job.log.tested(figures.get("test"))
    job.log.over(epochs=trained.epochs)


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
        """The model's figures on a dataset, of all hosts; on the first one only."""
        task = self.task
        return evaluate(self.model, dataset, task.settings, task.loss, task.scaler, task.group)


def train(
    dataset: Dataset,
    validation: Dataset | None,
    settings: Settings,
    report: Callable[[EpochReport], None] = lambda epoch: None,
    group: Group = ALONE,
) -> Trained:
    """Fit all candidates and keep the best; raises AlgorithmError if all of them diverge.

    The hosts of the group train on the rows of all, and come to the same model.
    """
    task = task_of(dataset, settings, group)
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


def task_of(dataset: Dataset, settings: Settings, group: Group = ALONE) -> Task:
    """Scales, candidates and targets for a training set, which may be a host's part of it."""
    rows = _rows_of_hosts(dataset, group)
    settings = _with_batches(settings, sum(rows))
    scaler = _scaler(dataset, settings, group)
    targets = targets_of(dataset.labels, settings, scaler)
    (counts,) = group.sum(class_counts(dataset.labels, settings))
    around = _circumstances(dataset, settings, scaler, targets, counts, group)
    chosen = candidates(settings, around)
    train = Problem(dataset.rows, targets)
    if settings.predictor_type == "binary_classifier":
        per_candidate = [candidate.positive_weight for candidate in chosen]
        if any(weight != 1 for weight in per_candidate):
            train = Problem(dataset.rows, targets, PositiveWeights.of(counts, per_candidate))
    elif settings.balance_multiclass_weights and settings.outputs > 1:
        train = Problem(dataset.rows, targets, ClassWeights.of(counts))
    return Task(settings, loss_of(settings), scaler, chosen, train, group, rows)


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


def _rows_of_hosts(dataset: Dataset, group: Group) -> tuple[int, ...]:
    """How many rows each host has to train on; raises UserError where widths differ."""
    own = np.zeros((2, group.size), np.int64)
    own[:, group.rank] = len(dataset), dataset.rows.width
    rows, widths = group.sum(own)[0].tolist()
    if len(set(widths)) > 1:
        hosts = zip(group.resources.hosts, widths, strict=True)
        found = ", ".join(f"{width} on {host}" for host, width in hosts)
        raise UserError(
            f"The files of the channel 'train' differ in their number of features: {found}. All "
            "files of a channel need the same"
        )
    return tuple(rows)


def _scaler(dataset: Dataset, settings: Settings, group: Group) -> Scaler:
    points = settings.num_point_for_scaler
    features = feature_scale(
        dataset.rows,
        points,
        normalize=settings.normalize_data,
        unbias=settings.unbias_data,
        group=group,
    )
    if settings.predictor_type != "regressor":
        return Scaler(features, Scale.identity(1))
    label = label_scale(
        dataset.labels,
        points,
        normalize=settings.normalize_label,
        unbias=settings.unbias_label,
        group=group,
    )
    return Scaler(features, label)


def _circumstances(
    dataset: Dataset,
    settings: Settings,
    scaler: Scaler,
    targets: losses.Targets,
    counts: Counts,
    group: Group,
) -> Circumstances:
    sample = dataset.rows.part(0, min(len(dataset), settings.num_point_for_scaler, 4096))
    lengths = np.square(scaler.scale_features(sample), dtype=np.float64).sum(axis=1)
    labels = np.square(targets[:, 0], dtype=np.float64)
    sums = (lengths.sum(), len(lengths), labels.sum(), len(labels))
    length, sampled, label, rows = group.sum(np.array(sums))[0].tolist()
    length /= sampled
    feature_size = math.sqrt(length / max(dataset.rows.width, 1)) or 1.0
    label_size = 1.0
    if settings.predictor_type == "regressor":
        label_size = math.sqrt(label / rows) or 1.0
    return Circumstances(
        rows=int(rows),
        updates=settings.epochs * math.ceil(rows / settings.mini_batch_size),
        parameters_per_model=dataset.rows.width * settings.outputs,
        mean_square_length=length,
        weight_size=label_size / feature_size,
        balance=balance(counts),
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

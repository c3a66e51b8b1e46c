"""The built-in algorithm: rows in, rounds of boosting, a model out."""

from __future__ import annotations

import importlib
import logging
from dataclasses import dataclass
from pathlib import Path

import xgboost
from sagelocal_train import Environment, process
from sagelocal_train.config import Channel

from sagelocal_xgboost import artifact, booster, channels, data, hosts, labels
from sagelocal_xgboost.callbacks import CheckpointFolder, Saver, Stop, is_first
from sagelocal_xgboost.data import Dataset
from sagelocal_xgboost.declarations import UserError
from sagelocal_xgboost.plan import Plan

logger = logging.getLogger(__name__)


def train(environment: Environment, plan: Plan, pickled: bool = False) -> None:
    """Run a job whose hyperparameters and channels are in order; raises TrainingError.

    `pickled` says how the model is saved.
    """
    job = Job(environment, plan, pickled)
    if len(environment.hosts) > 1:
        _train_together(job)
        return
    datasets = job.read()
    if datasets.train is None:
        raise UserError(_no_data(environment.channels["train"]))
    if job.has_validation and datasets.validation is None:
        raise UserError(_no_data(environment.channels["validation"]))
    logger.info("Single node training.")
    _train(job, datasets)


@dataclass(frozen=True, slots=True)
class Datasets:
    """What the channels hold; None where there are no rows, or no channel."""

    train: Dataset | None
    validation: Dataset | None

    @property
    def width(self) -> int:
        """The columns of both together."""
        return max((d.width for d in (self.train, self.validation) if d is not None), default=0)


@dataclass(frozen=True, slots=True)
class Job:
    """A job whose hyperparameters and channels are in order."""

    environment: Environment
    plan: Plan
    pickled: bool = False

    @property
    def has_validation(self) -> bool:
        """Whether there is a channel to measure by."""
        return "validation" in self.environment.channels

    @property
    def model_dir(self) -> Path:
        """Where the model is saved."""
        return self.environment.paths.model

    @property
    def checkpoints(self) -> CheckpointFolder | None:
        """Where checkpoints are, if the job has any."""
        configured = self.environment.checkpoints
        return CheckpointFolder(configured.local_path) if configured else None

    def read(self) -> Datasets:
        """The rows of both channels; raises UserError."""
        given = self.environment.channels
        train = given["train"]
        rows = data.read(train, channels.kind_of(train), weights=self.plan.csv_weights)
        measured: Dataset | None = None
        if self.has_validation:
            kind = channels.kind_of(given["validation"], default=train)
            measured = data.read(
                given["validation"],
                kind,
                weights=self.plan.csv_weights,
                width=rows.width if rows else None,
            )
        for dataset in (rows, measured):
            if dataset is not None:
                labels.check(dataset, self.plan.objective, self.plan.num_class)
        _check_widths(rows, measured)
        return Datasets(rows, measured)


def _check_widths(train: Dataset | None, validation: Dataset | None) -> None:
    if train is None or validation is None or train.is_sparse or validation.is_sparse:
        return
    if train.width != validation.width:
        raise UserError(
            f"feature_names mismatch: {validation.parts[0].name} has {validation.width} features, "
            f"{train.parts[0].name} has {train.width}. Both need the same columns, the label first"
        )


def _train(job: Job, datasets: Datasets, width: int = 0, validate: bool = False) -> None:
    """Train on this host's rows and, as the first of all, save.

    `width` is what the widest host has, `validate` whether any host has rows to measure by.
    """
    plan, width = job.plan, max(width, datasets.width)
    if datasets.train is None:
        raise TypeError("a host without rows does not train")
    if plan.folds:
        _cross_validate(job, datasets)
        return
    matrix = booster.matrix(datasets.train, plan, width)
    validation: xgboost.DMatrix | None = None
    if datasets.validation is not None:
        validation = booster.matrix(datasets.validation, plan, width)
    elif validate:
        validation = booster.empty_like(width, plan)
    _say_sizes(matrix, validation)
    _boost(job, matrix, validation)


def _boost(job: Job, matrix: xgboost.DMatrix, validation: xgboost.DMatrix | None) -> None:
    """The rounds, with checkpoints and an ear for SIGTERM; then the model is saved."""
    checkpoints = job.checkpoints
    resumed = checkpoints.load() if checkpoints else None
    done = resumed[1] if resumed else 0
    stop = Stop()
    callbacks = []
    if checkpoints:
        callbacks.append(Saver(checkpoints.save, done))
    if job.plan.save_on_termination:
        callbacks.append(Saver(lambda model, number: _save(job, model), done))
    with stop.listening():
        model, _ = booster.train(job.plan, matrix, validation, [*callbacks, stop], resumed)
    if stop.requested is not None:
        logger.info("Stopped after %d rounds", model.num_boosted_rounds())
        if not job.plan.save_on_termination:
            raise process.Stopped(128 + stop.requested)
    if is_first():
        _save(job, model)


def _save(job: Job, model: xgboost.Booster) -> None:
    path = job.model_dir / artifact.model_name()
    artifact.save(model, path, pickled=job.pickled)
    logger.debug("Stored trained model at %s", path)


def _cross_validate(job: Job, datasets: Datasets) -> None:
    # scikit-learn, which splits the rows, takes longer to load than most jobs to train.
    cross_validation = importlib.import_module("sagelocal_xgboost.cross_validation")
    both = [d for d in (datasets.train, datasets.validation) if d is not None]
    joined = data.joined([part for dataset in both for part in dataset.parts])
    matrix = booster.matrix(joined, job.plan)
    _say_sizes(matrix, None)
    stop = Stop()
    with stop.listening():
        outcome = cross_validation.run(job.plan, matrix, stop)
    if stop.requested is not None:
        raise process.Stopped(128 + stop.requested)
    cross_validation.save_predictions(outcome, job.environment.paths.output_data)
    for fold, model in enumerate(outcome.models):
        artifact.save(model, job.model_dir / artifact.model_name(fold), pickled=job.pickled)


def _train_together(job: Job) -> None:
    """Train one model with the other hosts."""
    environment = job.environment
    own = environment.current_host
    logger.info(
        "Distributed node training with %d hosts: %s",
        len(environment.hosts),
        list(environment.hosts),
    )
    try:
        datasets = job.read()
    except UserError:
        hosts.holdings(environment.resources, hosts.Holding(own, failed=True))
        raise
    holding = hosts.Holding(
        own,
        len(datasets.train) if datasets.train else 0,
        len(datasets.validation) if datasets.validation else 0,
        datasets.width,
    )
    everyone = hosts.holdings(environment.resources, holding)
    names = hosts.with_rows(everyone)
    if datasets.train is None:
        logger.warning("Host %s does not have data; it takes no part in the training.", own)
        return
    width = max(found.width for found in everyone)
    validate = any(found.validation_rows for found in everyone if found.rows)
    with hosts.together(names, own):
        _train(job, datasets, width, validate)


def _say_sizes(matrix: xgboost.DMatrix, validation: xgboost.DMatrix | None) -> None:
    logger.info("Train matrix has %d rows and %d columns", matrix.num_row(), matrix.num_col())
    if validation is not None:
        logger.info("Validation matrix has %d rows", validation.num_row())


def _no_data(channel: Channel) -> str:
    kind = "training" if channel.name == "train" else channel.name
    return (
        f"No data in {kind} channel path {channel.path}. Check the channel's S3Uri and that its "
        "objects are not empty"
    )

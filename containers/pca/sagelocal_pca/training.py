"""The training job: what SAGEMAKER_TRAINING_MODULE names.

configuration -> channels -> components -> artifact -> figures on the test channel
"""

from __future__ import annotations

import math
import time

import numpy as np
from sagelocal_first_party import Dataset, Family, Group, Job, Metric, joined, train_and_test
from sagelocal_train.environment import Environment
from sagelocal_train.errors import UserError

from sagelocal_pca import randomized, regular
from sagelocal_pca.hyperparameters import TABLE, Settings, settings_of
from sagelocal_pca.model import Projector

FAMILY = Family(
    "PCA",
    TABLE,
    train_and_test("What components are computed of.", label="ignored"),
)


def main(environment: Environment | None = None) -> None:
    """Run the job that /opt/ml describes."""
    job = Job.begin(FAMILY, environment)
    settings = settings_of(job.values)
    train = job.read("train", settings.feature_dim)
    test = job.read_if_given("test", settings.feature_dim)
    with joined(job.environment.resources) as group:
        job.log.metrics({"initialize.time": 1000 * job.log.lap()}, since=job.log.started)
        model = _fit(job, train, settings, group)
    if job.is_first_host:
        model.save(job.artifact)
    job.log.metrics({"finalize.time": 1000 * job.log.lap()})
    job.log.tested(None if test is None else figures(model, test))
    job.log.over()


def _fit(job: Job, train: Dataset, settings: Settings, group: Group) -> Projector:
    job.log.info("%d feature(s) found in 'data'.", train.rows.width)
    job.log.data_seen(0, 0, meta="init_train_data_iter")
    started = time.monotonic()
    model = fit(train, settings, group)
    seconds = time.monotonic() - started
    job.log.metrics({"epochs": 1.0, "update.time": 1000 * seconds})
    job.log.epoch_over(len(train), math.ceil(len(train) / settings.mini_batch_size), seconds)
    return model


def fit(train: Dataset, settings: Settings, group: Group) -> Projector:
    """The components of a dataset; raises UserError where memory does not suffice."""
    if settings.randomized:
        return randomized.fit(train.rows, settings, group)
    try:
        return regular.fit(train.rows, settings, group)
    except MemoryError as error:
        raise UserError(
            f"There is no memory for {settings.feature_dim} x {settings.feature_dim} numbers, "
            "which algorithm_mode=regular needs; set algorithm_mode to randomized"
        ) from error


def figures(model: Projector, dataset: Dataset) -> list[Metric]:
    """How well a dataset's rows are kept: the mean square of what projecting them loses, and the
    share of their variance around the model's mean that stays."""
    lost = kept = 0.0
    for block in dataset.batches(regular.block_rows(model.width)):
        projected = model.project(block)
        block -= model.mean
        square = float(np.square(block, dtype=np.float64).sum())
        part = float(np.square(projected, dtype=np.float64).sum())
        lost, kept = lost + max(square - part, 0.0), kept + part
    return [
        Metric("mean_squared_reconstruction_error", lost / len(dataset), "loss"),
        Metric("explained_variance_ratio", kept / ((kept + lost) or 1.0), "score"),
    ]

"""The training job: what SAGEMAKER_TRAINING_MODULE names.

configuration -> channels -> fit -> artifact -> figures on the test channel
"""

from __future__ import annotations

import time

import numpy as np
from sagelocal_first_party import DataChannel, Dataset, Family, Job, joined
from sagelocal_serve.media_type import RECORDIO_PROTOBUF
from sagelocal_train.channels import Channels
from sagelocal_train.environment import Environment
from sagelocal_train.errors import AlgorithmError
from sagelocal_train.hyperparameters import as_text

from sagelocal_factorization_machines import model
from sagelocal_factorization_machines.figures import figures
from sagelocal_factorization_machines.fit import Epoch, fit
from sagelocal_factorization_machines.gradients import Vector
from sagelocal_factorization_machines.hyperparameters import TABLE, settings_of

FAMILY = Family(
    "factorization-machines",
    TABLE,
    Channels(
        DataChannel(
            "train",
            required=True,
            content_types=(RECORDIO_PROTOBUF,),
            help="What is learned from. May be sharded over hosts.",
        ),
        DataChannel("test", content_types=(RECORDIO_PROTOBUF,), help="Only measured."),
    ),
)
_ROWS_MEASURED_TOGETHER = 1 << 22


def main(environment: Environment | None = None) -> None:
    """Run the job that /opt/ml describes."""
    job = Job.begin(FAMILY, environment)
    settings = settings_of(job.values)
    train = job.read("train", settings.feature_dim)
    test = job.read_if_given("test", settings.feature_dim)
    if settings.is_binary:
        for dataset in filter(None, (train, test)):
            right = np.isin(dataset.labels, (0.0, 1.0))
            dataset.check_labels(right, "a binary_classifier needs 0 or 1")
    job.log.data_seen(0, 0, meta="init_train_data_iter")

    def report(epoch: Epoch) -> None:
        if not np.isfinite(epoch.scores).all():
            raise AlgorithmError(
                f"Training diverged in epoch {epoch.number}: scores are no numbers any more. "
                "Lower bias_lr, linear_lr and factors_lr, or set clip_gradient"
            )
        for metric in figures(epoch.scores, epoch.labels, settings.is_binary):
            job.log.quality("train", metric.name, metric.value, metric.kind, epoch.number)
        seconds = time.monotonic() - laps[-1]
        job.log.epoch_over(len(train), epoch.batches, seconds, epoch.number, settings.epochs)
        laps.append(time.monotonic())

    with joined(job.environment.resources) as group:
        laps = [time.monotonic()]
        trained = fit(train, settings, group, report)
    if job.is_first_host:
        given = {name: as_text(value) for name, value in job.values.items() if value is not None}
        model.save(trained, job.artifact, given)
    job.log.tested(
        None if test is None else figures(_scores(trained, test), test.labels, settings.is_binary)
    )
    job.log.over(epochs=float(settings.epochs))


def _scores(trained: model.FactorModel, dataset: Dataset) -> Vector:
    size = max(1, _ROWS_MEASURED_TOGETHER // trained.width)
    parts = [trained.scores(batch) for batch in dataset.batches(size)]
    return np.concatenate(parts).astype(np.float64)

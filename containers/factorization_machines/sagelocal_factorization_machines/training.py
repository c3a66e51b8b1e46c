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
from sagelocal_train.errors import AlgorithmError, UserError
from sagelocal_train.hyperparameters import as_text

from sagelocal_factorization_machines import model
from sagelocal_factorization_machines.figures import figures
from sagelocal_factorization_machines.fit import Epoch, Vector, fit
from sagelocal_factorization_machines.hyperparameters import TABLE, Settings, settings_of

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
    train = _read(job, "train", settings)
    test = _read(job, "test", settings) if job.has("test") else None
    job.log.data_seen(0, 0, meta="init_train_data_iter")

    def report(epoch: Epoch) -> None:
        if not np.isfinite(epoch.scores).all():
            raise AlgorithmError(
                f"Training diverged in epoch {epoch.number}: scores are no numbers any more. "
                "Lower bias_lr, linear_lr and factors_lr, or set clip_gradient"
            )
        for metric in figures(epoch.scores, epoch.labels, settings.is_binary):
            job.log.quality("train", metric.name, metric.value, metric.kind, epoch.number)
        job.log.progress(100 * (epoch.number + 1) / settings.epochs)
        job.log.data_seen(len(train), epoch.batches, epoch=epoch.number)
        job.log.throughput(len(train), time.monotonic() - laps[-1])
        laps.append(time.monotonic())
        job.log.lap()

    with joined(job.environment.resources) as group:
        laps = [time.monotonic()]
        trained = fit(train, settings, group, report)
    if job.is_first_host:
        given = {name: as_text(value) for name, value in job.values.items() if value is not None}
        model.save(trained, job.artifact, given)
    if test is None:
        job.log.no_test_data()
    else:
        scores = _scores(trained, test)
        job.log.final("test", figures(scores, test.labels, settings.is_binary))
    job.log.over(epochs=float(settings.epochs))


def _read(job: Job, name: str, settings: Settings) -> Dataset:
    dataset = job.read(name, settings.feature_dim)
    if settings.is_binary:
        wrong = np.flatnonzero(~np.isin(dataset.labels, (0.0, 1.0)))
        if wrong.size:
            raise UserError(
                f"{dataset.place(int(wrong[0]))}: the label is {dataset.labels[wrong[0]]:g}; a "
                "binary_classifier needs 0 or 1"
            )
    return dataset


def _scores(trained: model.FactorModel, dataset: Dataset) -> Vector:
    size = max(1, _ROWS_MEASURED_TOGETHER // trained.width)
    parts = [trained.scores(batch) for batch in dataset.batches(size)]
    return np.concatenate(parts).astype(np.float64)

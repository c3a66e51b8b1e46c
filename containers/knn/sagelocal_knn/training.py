"""The training job: what SAGEMAKER_TRAINING_MODULE names.

configuration -> channels -> sample of all hosts -> reduction -> index -> artifact -> figures
"""

from __future__ import annotations

import math
import time

import numpy as np
from sagelocal_first_party import Dataset, Family, Group, Job, joined, train_and_test
from sagelocal_train.environment import Environment
from sagelocal_train.errors import UserError

from sagelocal_knn import index
from sagelocal_knn.figures import figures
from sagelocal_knn.hyperparameters import TABLE, Settings, settings_of
from sagelocal_knn.model import Floats, Model, prepared
from sagelocal_knn.reduction import Projection

FAMILY = Family(
    "AWS/KNN",
    TABLE,
    train_and_test("Rows and labels to remember."),
)

SEED = 20171129


def main(environment: Environment | None = None) -> None:
    """Run the job that /opt/ml describes."""
    job = Job.begin(FAMILY, environment)
    settings = settings_of(job.values)
    train = job.read("train", settings.feature_dim)
    test = job.read_if_given("test", settings.feature_dim)
    started = time.monotonic()
    with joined(job.environment.resources) as group:
        model = fit(train, settings, group)
        batches = math.ceil(len(train) / settings.mini_batch_size)
        job.log.epoch_over(len(train), batches, time.monotonic() - started)
    if model is None:  # Another host has the rows of all.
        job.log.over()
        return
    model.save(job.artifact)
    job.log.tested(None if test is None else figures(model, test, settings.mini_batch_size))
    job.log.over()


def fit(train: Dataset, settings: Settings, group: Group) -> Model | None:
    """The model of a sample of all hosts' rows, on the first host; None elsewhere.

    Raises UserError where there are fewer rows than neighbours.
    """
    gathered = group.gather(*_sample(train, settings, group))
    if not group.is_first:
        return None
    rows: Floats = np.concatenate([rows for rows, _ in gathered])
    labels = np.concatenate([labels for _, labels in gathered])
    if len(rows) < settings.k:
        raise UserError(
            f"'k' is {settings.k} and {len(rows)} rows were sampled of the channel 'train': there "
            "are not as many neighbours; lower 'k', or train on more rows"
        )
    projection = _projection(settings)
    normalize = settings.index_metric == "COSINE"
    points = prepared(rows, projection, normalize)
    return Model(
        index.build(points, settings),
        labels,
        settings.k,
        settings.predictor_type,
        projection,
        normalize,
        settings.feature_dim,
    )


def _sample(train: Dataset, settings: Settings, group: Group) -> tuple[Floats, Floats]:
    """This host's share of the sample, in the order of its rows."""
    share = settings.sample_size // group.size
    share += group.rank < settings.sample_size % group.size
    size = min(len(train), share)
    random = np.random.default_rng([SEED, group.rank])
    chosen = np.sort(random.choice(len(train), size, replace=False))
    return train.rows.take(chosen), train.labels[chosen].astype(np.float32)


def _projection(settings: Settings) -> Projection | None:
    kind = settings.dimension_reduction_type
    if kind is None:
        return None
    return Projection(kind, SEED, settings.feature_dim, settings.dimension_reduction_target)

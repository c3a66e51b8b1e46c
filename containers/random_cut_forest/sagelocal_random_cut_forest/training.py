"""The training job: what SAGEMAKER_TRAINING_MODULE names.

configuration -> channels -> sample of all hosts -> trees -> artifact -> figures on the test channel
"""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from sagelocal_first_party import DataChannel, Dataset, Family, Group, Job, Metric, joined
from sagelocal_train.channels import Channels
from sagelocal_train.environment import Environment
from sagelocal_train.errors import UserError
from sagelocal_train.machine import cpu_count

from sagelocal_random_cut_forest import model
from sagelocal_random_cut_forest.cutting import grow
from sagelocal_random_cut_forest.figures import figures
from sagelocal_random_cut_forest.forest import Forest
from sagelocal_random_cut_forest.hyperparameters import TABLE, Settings, settings_of
from sagelocal_random_cut_forest.sampling import SEED, Sample, drawn

FAMILY = Family(
    "RandomCutForest",
    TABLE,
    Channels(
        DataChannel(
            "train",
            required=True,
            label="ignored",
            distribution="ShardedByS3Key",
            help="What is normal, and a few anomalies. S3DataDistributionType ShardedByS3Key only.",
        ),
        DataChannel(
            "test",
            distribution="FullyReplicated",
            help="Only measured; labels are 1 for an anomaly, 0 for none. S3DataDistributionType "
            "FullyReplicated only.",
        ),
    ),
)
# As many as the original counts as one.
_BATCH_ROWS = 1000


def main(environment: Environment | None = None) -> None:
    """Run the job that /opt/ml describes."""
    job = Job.begin(FAMILY, environment)
    settings = settings_of(job.values)
    train = job.read("train", settings.feature_dim)
    test = job.read_if_given("test", settings.feature_dim)
    if test is not None:
        right = np.isin(test.labels, (0.0, 1.0))
        test.check_labels(right, "it must be 1 for an anomaly and 0 for any other row")
    with joined(job.environment.resources) as group:
        job.log.metrics({"initialize.time": 1000 * job.log.lap()}, since=job.log.started)
        sample = _sampled(job, train, settings, group)
    if sample is None:  # Another host has the rows of all.
        job.log.over()
        return
    forest = _built(job, sample, settings)
    model.save(forest, job.artifact)
    job.log.metrics({"serialize_model.time": 1000 * job.log.lap()})
    job.log.tested(None if test is None else _figures(forest, test, settings))
    job.log.over()


def _sampled(job: Job, train: Dataset, settings: Settings, group: Group) -> Sample | None:
    log = job.log
    log.data_seen(0, 0, meta="init_train_data_iter")
    log.info("Sampling training data...")
    started = time.monotonic()
    sample = drawn(train.rows, settings, group)
    seconds = time.monotonic() - started
    log.info("Sampling training data completed.")
    log.metrics({"epochs": 1.0, "update.time": 1000 * seconds})
    log.epoch_over(len(train), math.ceil(len(train) / _BATCH_ROWS), seconds)
    return sample


def _built(job: Job, sample: Sample, settings: Settings) -> Forest:
    log, trees = job.log, settings.num_trees
    log.info("Master node: building Random Cut Forest...")
    log.info("%d samples gathered", sample.seen)
    if sample.size < settings.num_samples_per_tree:
        log.warning(
            "There are fewer rows than num_trees * num_samples_per_tree (%d); each tree has %d.",
            trees * settings.num_samples_per_tree,
            sample.size,
        )
    started = time.monotonic()
    forest = built(sample, trees)
    size_bytes = sum(array.nbytes for array in model.arrays_of(forest).values())
    log.info(
        "Random Cut Forest built: ForestInfo{num_trees: %d, num_samples_in_forest: %d, "
        "num_samples_per_tree: %d, sample_dim: %d, mem_size: %d}",
        *(trees, trees * sample.size, sample.size, forest.width, size_bytes),
    )
    log.metrics(
        {
            "fit_model.time": 1000 * (time.monotonic() - started),
            "model.bytes": float(size_bytes),
            "finalize.time": 1000 * log.lap(),
        }
    )
    log.info("Master node: Serializing the RandomCutForest model")
    return forest


def built(sample: Sample, trees: int) -> Forest:
    """The forest of a sample; raises UserError where memory does not suffice."""
    try:
        return Forest.of(grow(sample.points, trees, SEED), sample.size)
    except MemoryError as error:
        raise UserError(
            f"There is no memory for {trees} trees of {sample.size} points with "
            f"{sample.points.shape[1]} features; lower num_trees or num_samples_per_tree"
        ) from error


def _figures(forest: Forest, dataset: Dataset, settings: Settings) -> list[Metric]:
    # The kernel leaves Python to others while it works.
    with ThreadPoolExecutor(cpu_count()) as pool:
        scores = np.concatenate(list(pool.map(forest.scores, dataset.batches(_BATCH_ROWS))))
    return figures(scores, dataset.labels, settings.eval_metrics)

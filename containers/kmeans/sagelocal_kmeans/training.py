"""The training job: what SAGEMAKER_TRAINING_MODULE names.

configuration -> channels -> clusters -> artifact -> figures on train and test
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from sagelocal_first_party import Family, Job, Metric, joined, train_and_test
from sagelocal_train.environment import Environment

from sagelocal_kmeans.fit import Watch, fit, sum_of_squares
from sagelocal_kmeans.hyperparameters import TABLE, Settings, settings_of
from sagelocal_kmeans.lloyd import Outcome

FAMILY = Family(
    "AWS/KMeansWebscale",
    TABLE,
    train_and_test("The rows to cluster.", label="ignored"),
)


def main(environment: Environment | None = None) -> None:
    """Run the job that /opt/ml describes."""
    job = Job.begin(FAMILY, environment)
    settings = settings_of(job.values)
    train = job.read("train", settings.feature_dim)
    test = job.read_if_given("test", settings.feature_dim)
    _say_what_is_used(job, settings, len(train))
    with joined(job.environment.resources) as group:
        model = fit(train, settings, group, _watch(job, settings, len(train)))
        total, rows = group.sum(np.array(sum_of_squares(train, model)), np.array(len(train)))
    wanted = settings.eval_metrics
    job.log.final("train", figures(float(total), int(rows), wanted), scores=False)
    if job.is_first_host:
        model.save(job.artifact)
    job.log.metrics({"finalize.time": 1000 * job.log.lap()})
    job.log.tested(
        None if test is None else figures(sum_of_squares(test, model), len(test), wanted)
    )
    job.log.over()


def figures(squares: float, rows: int, names: Sequence[str]) -> list[Metric]:
    """The figures that are asked for: mean and sum of the squared distances."""
    values = {"msd": squares / rows, "ssd": squares}
    return [Metric(name, values[name], "loss") for name in names]


def _say_what_is_used(job: Job, settings: Settings, rows: int) -> None:
    if settings.extra_center_factor_is_auto:
        factor = settings.extra_center_factor
        job.log.info("'extra_center_factor' was set to 'auto', evaluated to %d.", factor)
    if settings.mini_batch_size > rows:
        job.log.warning(
            "Batch size %d is bigger than the first batch data. Effective batch size used to "
            "initialize is %d",
            settings.mini_batch_size,
            rows,
        )


def _watch(job: Job, settings: Settings, rows: int) -> Watch:
    """The lines of the original, at their time."""
    log = job.log
    batches = math.ceil(rows / settings.mini_batch_size)
    first = min(rows, settings.mini_batch_size)
    log.data_seen(first, 1, meta="init_train_data_iter")

    def epoch(number: int, seconds: float) -> None:
        log.info("processed a total of %d examples", rows)
        log.epoch_over(rows, batches, seconds, number, settings.epochs)

    def shrinking(centers: int) -> None:
        log.info("shrinking %d centers into %d", centers, settings.k)

    def trial(number: int, outcome: Outcome) -> None:
        log.info(
            "local kmeans attempt #%d. Current mean square distance %f",
            number,
            outcome.mean_square,
        )

    return Watch(epoch, shrinking, trial)

"""A plane that is killed in the middle of a job, and the next plane that takes the job up."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sagelocal.domain.training import (
    HostRun,
    SecondaryStatus,
    StopCause,
    TrainingJob,
    Verdict,
)

ARN = "arn:aws:sagemaker:us-east-1:000000000000:training-job/job"
SLOW = """
(base / "model/w").write_text("w")
print("training", flush=True)
time.sleep(0.5)
print("trained", flush=True)
"""


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 0.9])
def test_a_job_completes_whenever_the_plane_is_killed(
    open_bench: Any, killed_plane: Any, delay: float
) -> None:
    bench = open_bench()
    bench.put("train/a.csv")
    arn = bench.add("job", bench.image(SLOW))

    with killed_plane():
        time.sleep(delay)

    bench.engine.start()
    job = bench.wait(arn)
    assert (job.status, job.failure_reason) == ("Completed", None)
    assert bench.lines(job)[-1] == "trained"
    assert bench.get("jobs/job/output/model.tar.gz") is not None


def test_the_same_container_is_waited_for_again(open_bench: Any, killed_plane: Any) -> None:
    bench = open_bench()
    arn = bench.add("job", bench.image(SLOW))
    with killed_plane():
        bench.wait(arn, lambda job: job.trained_at is not None)
        before = bench.job(arn)

    bench.engine.start()
    job = bench.wait(arn)
    assert job.status == "Completed"
    assert job.hosts == before.hosts
    assert bench.lines(job) == ["training", "trained"]


def test_a_container_that_failed_while_no_plane_ran_has_its_reason(
    open_bench: Any, killed_plane: Any
) -> None:
    bench = open_bench()
    arn = bench.add("job", bench.image(SLOW + "sys.exit(7)"))
    with killed_plane():
        bench.wait(arn, lambda job: job.trained_at is not None)
    bench.wait_for_line(arn, "trained")

    bench.engine.start()
    job = bench.wait(arn)
    assert job.failure_reason == "AlgorithmError: training\ntrained, exit code: 7"


def test_a_stop_that_was_asked_for_is_carried_out(open_bench: Any, killed_plane: Any) -> None:
    bench = open_bench()
    arn = bench.add("job", bench.image("print('up'); signal.pause()"))
    with killed_plane():
        bench.wait(arn, lambda job: job.trained_at is not None)
    now = time.time()
    bench.engine.records.change(arn, lambda job: job.stopping(StopCause.REQUESTED, now))

    bench.engine.start()
    job = bench.wait(arn)
    assert (job.status, job.secondary_status) == ("Stopped", "Stopped")


def test_an_upload_that_was_interrupted_is_repeated(open_bench: Any) -> None:
    bench = open_bench()
    arn = bench.add("job", bench.image(SLOW))
    model = bench.data / "training-jobs/us-east-1/job/algo-1/model"
    model.mkdir(parents=True)
    (model / "w").write_text("w")
    for status in (SecondaryStatus.DOWNLOADING, SecondaryStatus.TRAINING):
        bench.engine.records.change(arn, entering(status))
    bench.engine.records.change(arn, uploading)

    bench.engine.start()
    job = bench.wait(arn)
    assert (job.status, job.failure_reason) == ("Failed", "AlgorithmError: it was bad")
    assert bench.get("jobs/job/output/model.tar.gz") is not None


def test_what_ended_jobs_left_is_removed(open_bench: Any) -> None:
    bench = open_bench()
    bench.run("job", bench.image("pass"))
    bench.engine.close()
    gone = bench.data / "training-jobs/us-east-1/gone/algo-1/model"
    ended = bench.data / "training-jobs/us-east-1/job/algo-1/model"
    for leftover in (gone, ended):
        leftover.mkdir(parents=True)
    container = bench.data / "containers" / json.loads(bench.job(ARN).hosts[0].handle)["name"]
    container.mkdir()

    open_bench().engine.start()
    assert not os.path.lexists(container)
    assert os.listdir(gone.parents[2]) == []


def test_closing_a_plane_leaves_its_containers_running(open_bench: Any) -> None:
    first = open_bench()
    arn = first.add("job", first.image(SLOW))
    first.engine.submit(arn)
    first.wait_for_line(arn, "training")
    first.engine.close()
    assert first.job(arn).status == "InProgress"

    second = open_bench()
    second.engine.start()
    job = second.wait(arn)
    assert second.lines(job) == ["training", "trained"]


def entering(status: SecondaryStatus) -> Callable[[TrainingJob], TrainingJob]:
    return lambda job: job.entering(status, time.time())


def uploading(job: TrainingJob) -> TrainingJob:
    from_host = replace(job, hosts=(HostRun("algo-1", "job/algo-1-1"),))
    verdict = Verdict(SecondaryStatus.FAILED, "AlgorithmError: it was bad")
    return replace(from_host.entering(SecondaryStatus.UPLOADING, time.time()), verdict=verdict)

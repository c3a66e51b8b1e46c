"""Managed spot jobs that are interrupted, and jobs that the platform fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sagelocal.domain.training import NotInterruptible

ONCE = {"MaximumRetryAttempts": 1}
SPOT = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 1200},
    "CheckpointConfig": {"S3Uri": "s3://bucket/ckpt"},
}
# Trains three epochs, each of them when it is told to; saves one more file on SIGTERM.
EPOCHS = """
folder = base / "checkpoints"
def stop(*_):
    (folder / "on-sigterm").write_text("saved")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
done = len(list(folder.glob("epoch-*")))
print("resumed at", done, sorted(p.name for p in folder.iterdir()), flush=True)
if done == 0:
    (folder / "epoch-0").write_text("0")
    print("waiting", flush=True)
    while True: signal.pause()
(base / "model/weights").write_text(str(done))
"""


def test_an_interrupted_job_resumes_from_its_checkpoints(bench: Any) -> None:
    arn = bench.add("job", bench.image(EPOCHS), **SPOT)
    bench.engine.submit(arn)
    bench.wait_for_line(arn, "waiting")
    first = bench.job(arn).hosts

    assert bench.engine.interrupt(arn).secondary_status == "Training"
    job = bench.wait(arn)

    assert (job.status, job.failure_reason) == ("Completed", None)
    assert [t.status for t in job.transitions] == [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]
    assert bench.lines(job) != []
    assert bench.lines(job)[-1] == "resumed at 1 ['epoch-0', 'on-sigterm']"
    assert bench.get("ckpt/on-sigterm") == b"saved"
    assert bench.get("jobs/job/output/model.tar.gz") is not None
    assert job.hosts != first
    assert job.training_seconds is not None


def test_metrics_of_every_attempt_count(bench: Any) -> None:
    image = bench.image("""
        first = not (base / "checkpoints/x").exists()
        (base / "checkpoints/x").touch()
        print("once=1;" if first else "twice=3;", flush=True)
        print("twice=2;" if first else "", flush=True)
        signal.sigwait({signal.SIGTERM}) if first else None
    """)
    definitions = [{"Name": n, "Regex": rf"{n}=(\d+);"} for n in ("once", "twice")]
    algorithm = {
        "TrainingImage": image,
        "TrainingInputMode": "File",
        "MetricDefinitions": definitions,
    }
    arn = bench.add("job", image, AlgorithmSpecification=algorithm, **SPOT)
    bench.engine.submit(arn)
    bench.wait_for_line(arn, "twice=2")
    bench.wait(arn, lambda job: job.trained_at is not None)
    bench.engine.interrupt(arn)
    job = bench.wait(arn)
    assert [(m.name, m.value) for m in job.metrics] == [("once", 1.0), ("twice", 3.0)]


def test_an_interruption_is_carried_out_by_the_next_plane(
    open_bench: Any, killed_plane: Any
) -> None:
    bench = open_bench()
    arn = bench.add("job", bench.image(EPOCHS), **SPOT)
    with killed_plane():
        bench.wait_for_line(arn, "waiting")
        bench.wait(arn, lambda job: job.trained_at is not None)
    bench.engine.records.change(arn, lambda job: job.interrupting(job.trained_at + 1))

    bench.engine.start()
    job = bench.wait(arn)
    assert job.status == "Completed"
    assert "Interrupted" in [t.status for t in job.transitions]
    assert bench.lines(job)[-1].startswith("resumed at 1")


def test_a_job_on_demand_cannot_be_interrupted(bench: Any) -> None:
    arn = bench.add("job", bench.image("print('up', flush=True); signal.pause()"))
    bench.engine.submit(arn)
    bench.wait(arn, lambda job: job.trained_at is not None)
    with pytest.raises(NotInterruptible, match="no managed spot training job"):
        bench.engine.interrupt(arn)
    bench.engine.stop(arn)
    assert bench.wait(arn).status == "Stopped"


def test_a_job_that_waits_too_long_is_stopped(bench: Any) -> None:
    image = bench.image("(base / 'model/w').write_text('w'); print('up'); signal.pause()")
    limits = {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 1}
    job = bench.run("job", image, **{**SPOT, "StoppingCondition": limits})
    assert (job.status, job.secondary_status) == ("Stopped", "MaxWaitTimeExceeded")
    assert bench.get("jobs/job/output/model.tar.gz") is not None


def test_a_job_whose_image_takes_longer_than_it_may_wait_is_stopped(bench: Any) -> None:
    limits = {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 1}
    job = bench.run("job", "slow:1", **{**SPOT, "StoppingCondition": limits})
    bench.runtime.slow_images_ready.set()
    assert (job.status, job.secondary_status) == ("Stopped", "MaxWaitTimeExceeded")


def test_earlier_attempts_count_against_the_run_time(bench: Any) -> None:
    image = bench.image("""
        print("up", flush=True)
        signal.pause()
    """)
    limits = {"MaxRuntimeInSeconds": 2, "MaxWaitTimeInSeconds": 1000}
    arn = bench.add("job", image, **{**SPOT, "StoppingCondition": limits})
    bench.engine.submit(arn)
    bench.wait(arn, lambda job: job.trained_at is not None)
    bench.engine.interrupt(arn)
    job = bench.wait(arn)
    assert job.secondary_status == "MaxRuntimeExceeded"
    last = next(t for t in reversed(job.transitions) if t.status == "Training")
    assert last.ended_at - job.trained_at == pytest.approx(2 - job.trained_before, abs=0.5)


def test_a_failure_of_the_platform_is_retried(bench: Any) -> None:
    bench.runtime.failures = 1
    job = bench.run("job", bench.image("pass"), RetryStrategy={"MaximumRetryAttempts": 2})
    assert (job.status, job.retries) == ("Completed", 1)
    assert [t.status for t in job.transitions][:6] == [
        *("Starting", "Downloading", "Training"),
        *("Starting", "Downloading", "Training"),
    ]


def test_a_lost_container_leaves_its_checkpoints_to_the_next_attempt(
    open_bench: Any, killed_plane: Any
) -> None:
    bench = open_bench()
    image = bench.image("""
        folder = base / "checkpoints"
        again = (folder / "saved").exists()
        (folder / "saved").write_text("x")
        print("saved", flush=True)
        signal.sigwait({signal.SIGTERM}) if not again else None
    """)
    more = {"CheckpointConfig": SPOT["CheckpointConfig"], "RetryStrategy": ONCE}
    arn = bench.add("job", image, **more)
    with killed_plane():
        bench.wait_for_line(arn, "saved")
        bench.wait(arn, lambda job: job.trained_at is not None)
    lost = [replace(run, runtime="another") for run in bench.job(arn).hosts]
    bench.engine.records.change(arn, lambda job: replace(job, hosts=tuple(lost)))

    bench.engine.start()
    job = bench.wait(arn)
    assert (job.status, job.retries) == ("Completed", 1)


def test_retries_end(bench: Any) -> None:
    bench.runtime.failures = 5
    job = bench.run("job", bench.image("pass"), RetryStrategy={"MaximumRetryAttempts": 1})
    assert (job.status, job.retries) == ("Failed", 1)
    assert job.failure_reason.startswith("InternalServerError: ")


def test_a_failure_of_the_container_is_not_retried(bench: Any) -> None:
    image = bench.image("sys.exit(1)")
    job = bench.run("job", image, RetryStrategy={"MaximumRetryAttempts": 3})
    assert (job.status, job.retries) == ("Failed", 0)


def test_a_job_that_waits_for_its_next_attempt_can_be_stopped(bench: Any) -> None:
    bench.runtime.failures = 30
    arn = bench.add("job", bench.image("pass"), RetryStrategy={"MaximumRetryAttempts": 30})
    bench.engine.submit(arn)
    bench.wait(arn, lambda job: job.retries == 1)
    bench.engine.stop(arn)
    job = bench.wait(arn)
    assert (job.status, job.retries) == ("Stopped", 1)


def test_another_version_is_said_once_in_a_job_s_life(bench: Any) -> None:
    image = bench.image(EPOCHS)
    bench.runtime.notes[image] = "asks for 1.0, has 2.0"
    arn = bench.add("job", image, **SPOT)
    bench.engine.submit(arn)
    bench.wait_for_line(arn, "waiting")
    first = bench.lines(bench.job(arn))

    bench.engine.interrupt(arn)
    second = bench.lines(bench.wait(arn))

    assert first[0] == "asks for 1.0, has 2.0"
    # Attempts that begin within a second share a log stream.
    later = second[len(first) :] if second[: len(first)] == first else second
    assert later[0].startswith("resumed at 1")

"""The states of a training job: every path ends, and the document tells everything."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal.domain.metrics import MetricData
from sagelocal.domain.training import (
    FOLLOWING,
    HostRun,
    IllegalTransition,
    NotInterruptible,
    SecondaryStatus,
    StopCause,
    TrainingJob,
    Verdict,
    from_document,
    to_document,
)

NEW = TrainingJob.created("arn", "us-east-1", "job", {"TrainingJobName": "job"}, now=1.0)


@st.composite
def jobs(draw: st.DrawFn) -> TrainingJob:
    """Jobs on any path through the states."""
    job = NEW
    now = 1.0
    for _ in range(draw(st.integers(0, 8))):
        following = sorted(FOLLOWING[job.secondary_status])
        if not following:
            break
        now += draw(st.floats(0, 1e6))
        status = draw(st.sampled_from(following))
        job = (
            job.stopping(draw(st.sampled_from(StopCause)), now)
            if status is SecondaryStatus.STOPPING
            else job.entering(status, now)
        )
    return replace(
        job,
        hosts=tuple(
            draw(st.lists(st.builds(HostRun, st.text(), st.text(), st.text()), max_size=2))
        ),
        verdict=draw(st.none() | st.just(Verdict(SecondaryStatus.FAILED, "reason"))),
        metrics=tuple(
            draw(st.lists(st.builds(MetricData, st.text(), st.floats(-1e9, 1e9), st.just(1.5))))
        ),
    )


@given(jobs())
def test_a_document_holds_the_whole_job(job: TrainingJob) -> None:
    assert from_document(json.loads(json.dumps(to_document(job)))) == job


@given(jobs())
def test_only_the_last_transition_of_an_unfinished_job_is_open(job: TrainingJob) -> None:
    open_ones = [t for t in job.transitions if t.ended_at is None]
    assert open_ones == ([] if job.finished else [job.transitions[-1]])


@given(jobs(), st.sampled_from(StopCause), st.floats(1e7, 1e8))
def test_asking_to_stop_twice_is_asking_once(
    job: TrainingJob, cause: StopCause, now: float
) -> None:
    once = job.stopping(cause, now)
    assert once.stopping(StopCause.REQUESTED, now + 1) == once


def test_no_path_through_the_states_comes_back_but_an_interruption() -> None:
    def ends(status: SecondaryStatus, seen: frozenset[SecondaryStatus]) -> bool:
        if status is SecondaryStatus.STARTING and SecondaryStatus.INTERRUPTED in seen:
            return True
        assert status not in seen
        return all(ends(following, seen | {status}) for following in FOLLOWING[status])

    assert ends(SecondaryStatus.STARTING, frozenset())
    assert set(FOLLOWING) == set(SecondaryStatus)


@pytest.mark.parametrize("status", [s for s in SecondaryStatus if not FOLLOWING[s]])
def test_nothing_follows_an_end(status: SecondaryStatus) -> None:
    job = NEW.entering(SecondaryStatus.DOWNLOADING, 2.0).entering(SecondaryStatus.FAILED, 3.0)
    with pytest.raises(IllegalTransition, match="job: Failed -> "):
        job.entering(status, 4.0)


def test_training_time_is_whole_seconds_on_the_instances() -> None:
    job = NEW.entering(SecondaryStatus.DOWNLOADING, 10.0)
    assert job.training_seconds is None
    assert job.entering(SecondaryStatus.FAILED, 10.2).training_seconds == 1
    assert job.entering(SecondaryStatus.FAILED, 72.1).training_seconds == 63


SPOT = replace(NEW, request={"TrainingJobName": "job", "EnableManagedSpotTraining": True})


def training(job: TrainingJob, now: float) -> TrainingJob:
    job = job.entering(SecondaryStatus.DOWNLOADING, now).entering(SecondaryStatus.TRAINING, now)
    return replace(job, trained_at=now)


def test_an_interrupted_job_begins_again_and_its_time_on_instances_adds_up() -> None:
    job = training(SPOT, 10.0).interrupting(15.0).interrupted(20.0)
    assert (job.status, job.secondary_status, job.interruption) == (
        "InProgress",
        "Interrupted",
        False,
    )
    again = training(job.restarted(30.0), 40.0)
    assert again.trained_before == 10.0
    ended = again.entering(SecondaryStatus.UPLOADING, 60.0).entering(
        SecondaryStatus.COMPLETED, 61.0
    )
    assert (ended.started_at, ended.ended_at) == (10.0, 61.0)
    assert ended.training_seconds == 10 + 21
    assert ended.billable_seconds(0.3) == 9
    assert [t.status for t in ended.transitions] == [
        *("Starting", "Downloading", "Training", "Interrupted"),
        *("Starting", "Downloading", "Training", "Uploading", "Completed"),
    ]


def test_what_a_lost_plane_had_begun_after_an_interruption_is_forgotten_alone() -> None:
    job = training(SPOT, 10.0).interrupting(15.0).interrupted(20.0).restarted(30.0)
    begun = training(job, 40.0).restarted(50.0)
    assert [t.status for t in begun.transitions][-2:] == ["Interrupted", "Starting"]
    assert (begun.started_at, begun.trained_at, begun.trained_before) == (10.0, None, 10.0)


@pytest.mark.parametrize(
    ("job", "why"),
    [
        (training(NEW, 2.0), "job is no managed spot training job"),
        (SPOT, "job is in Starting; only a job whose containers run"),
        (training(SPOT, 2.0).stopping(StopCause.REQUESTED, 3.0), "job is in Stopping"),
    ],
)
def test_only_a_spot_job_that_trains_can_be_interrupted(job: TrainingJob, why: str) -> None:
    with pytest.raises(NotInterruptible, match=why):
        job.interrupting(4.0)


def test_a_retried_job_keeps_what_it_has_trained() -> None:
    job = training(NEW, 10.0).retried(25.0)
    assert (job.retries, job.trained_before, job.secondary_status) == (1, 15.0, "Starting")
    assert job.billable_seconds(0.3) is None


def test_a_job_that_fails_before_its_instances_start_has_no_training_time() -> None:
    assert NEW.entering(SecondaryStatus.FAILED, 9.0).training_seconds is None

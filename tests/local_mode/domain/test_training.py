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


def test_no_path_through_the_states_comes_back() -> None:
    def ends(status: SecondaryStatus, seen: frozenset[SecondaryStatus]) -> bool:
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


def test_a_job_that_fails_before_its_instances_start_has_no_training_time() -> None:
    assert NEW.entering(SecondaryStatus.FAILED, 9.0).training_seconds is None

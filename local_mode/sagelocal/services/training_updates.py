"""What changes a training job that is there already: UpdateTrainingJob, warm pools moving on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sagelocal.domain.training import KIND, SecondaryStatus, TrainingJob
from sagelocal.domain.warm_pools import LONGEST_SECONDS, WarmPoolStatus, fits, warm_pool_of
from sagelocal.engine.training_records import NoSuchJob
from sagelocal.protocol.faults import Fault, validation
from sagelocal.services.calls import Call, Params, Result

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

Change = Callable[[TrainingJob], TrainingJob]


def job_of(plane: Plane, call: Call, params: Params) -> TrainingJob:
    """The job of the request's TrainingJobName. Raises Fault."""
    arn = call.scope.sagemaker_arn(KIND, params["TrainingJobName"])
    try:
        return plane.training.records.get(arn)
    except NoSuchJob as error:
        raise _not_found() from error


def update_training_job(plane: Plane, call: Call, params: Params) -> Result:
    """Change how long a warm pool is kept, or what is profiled; all of it or nothing."""
    arn = job_of(plane, call, params).arn

    def change(job: TrainingJob) -> TrainingJob:
        for member, apply in _UPDATES.items():
            if member in params:
                job = apply(job, params[member])
        return replace(job, modified_at=time.time())

    try:
        plane.training.records.change(arn, change)
    except NoSuchJob as error:
        raise _not_found() from error
    return {"TrainingJobArn": arn}


def take_over_warm_pool(plane: Plane, job: TrainingJob) -> None:
    """Let the new job have the pool of one before it that matches, if there is one."""
    now = time.time()
    for earlier in plane.training.records.with_warm_pools(job.region, now - LONGEST_SECONDS):
        if not has_available_pool(earlier, now) or not fits(earlier, job.request):
            continue
        try:
            taken = plane.training.records.change(earlier.arn, _moving_to(job, now))
        except NoSuchJob:
            continue  # Deleted at this moment, and its pool with it.
        if taken.reused_by == job.name:
            return


def _moving_to(job: TrainingJob, now: float) -> Change:
    def move(earlier: TrainingJob) -> TrainingJob:
        if not has_available_pool(earlier, now):
            return earlier
        return replace(earlier, reused_by=job.name, pool_ended_at=now, modified_at=now)

    return move


def has_available_pool(job: TrainingJob, now: float) -> bool:
    """Whether a pool is kept for the next job that matches."""
    pool = warm_pool_of(job, now)
    return pool is not None and pool.status is WarmPoolStatus.AVAILABLE


def _keep_alive(job: TrainingJob, update: Mapping[str, Any]) -> TrainingJob:
    """0 gives the pool up. Raises Fault."""
    now = time.time()
    pool = warm_pool_of(job, now)
    if pool is None:
        raise validation(
            f"Invalid ResourceConfig. Training job {job.name} has no warm pool whose "
            "KeepAlivePeriodInSeconds could be updated"
        )
    if pool.status is not WarmPoolStatus.AVAILABLE:
        raise validation(
            "Invalid ResourceConfig. KeepAlivePeriodInSeconds can be updated only while the warm "
            f"pool is Available; that of training job {job.name} is {pool.status}"
        )
    seconds: int = update["KeepAlivePeriodInSeconds"]
    resources = {**job.request["ResourceConfig"], "KeepAlivePeriodInSeconds": seconds}
    request = {**job.request, "ResourceConfig": resources}
    return replace(job, request=request, pool_ended_at=None if seconds else now)


def _profiler(job: TrainingJob, update: Mapping[str, Any]) -> TrainingJob:
    _require_in_progress(job, "ProfilerConfig")
    profiler = {**job.request.get("ProfilerConfig", {}), **update}
    return replace(job, request={**job.request, "ProfilerConfig": profiler})


def _profiler_rules(job: TrainingJob, rules: list[Mapping[str, Any]]) -> TrainingJob:
    """Rules of the same name are replaced, others added."""
    _require_in_progress(job, "ProfilerRuleConfigurations")
    kept = {r["RuleConfigurationName"]: r for r in job.request.get(_RULES, ())}
    kept |= {rule["RuleConfigurationName"]: rule for rule in rules}
    return replace(job, request={**job.request, _RULES: list(kept.values())})


def _remote_debug(job: TrainingJob, update: Mapping[str, Any]) -> TrainingJob:
    _require_in_progress(job, "RemoteDebugConfig")
    if job.secondary_status not in (SecondaryStatus.DOWNLOADING, SecondaryStatus.TRAINING):
        raise validation(
            "Invalid RemoteDebugConfig. It can be updated only while the secondary status is "
            f"Downloading or Training; that of training job {job.name} is {job.secondary_status}"
        )
    return replace(job, request={**job.request, "RemoteDebugConfig": dict(update)})


def _require_in_progress(job: TrainingJob, member: str) -> None:
    if job.finished:
        raise validation(
            f"Invalid {member}. It can be updated only while the training job is InProgress; "
            f"{job.name} is {job.status}"
        )


def _not_found() -> Fault:
    return validation("Requested resource not found.")


_RULES = "ProfilerRuleConfigurations"
_UPDATES: Mapping[str, Callable[[TrainingJob, Any], TrainingJob]] = {
    "ResourceConfig": _keep_alive,
    "ProfilerConfig": _profiler,
    _RULES: _profiler_rules,
    "RemoteDebugConfig": _remote_debug,
}

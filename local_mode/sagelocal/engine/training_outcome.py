"""What a job's containers leave behind when they have ended: a verdict, its reason, metrics."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Mapping

from sagelocal.domain.failure_reasons import (
    ContainerEnd,
    client_error,
    container_failed,
    internal_error,
)
from sagelocal.domain.metrics import MetricData
from sagelocal.domain.training import (
    LOG_GROUP,
    SecondaryStatus,
    StopCause,
    TrainingJob,
    Verdict,
)
from sagelocal.domain.training_spec import TrainingSpec
from sagelocal.engine.metric_reading import last_values
from sagelocal.engine.training_tools import TrainingTools
from sagelocal.runtime import feeding
from sagelocal.runtime.interface import Exit

# How much of a container's words can matter for a FailureReason of 1,024 characters.
FAILURE_BYTES = 16 * 1024
LAST_LOG_LINES = 200


def failure_reason(
    tools: TrainingTools, job: TrainingJob, spec: TrainingSpec, exits: Mapping[str, Exit]
) -> str | None:
    """Why the job failed: in the words of the first host that did; None if all went well.

    Pipes that were not filled to their ends come first, whatever the container made of that. What
    the others then failed of is no reason, and a plane that takes up a job may find several
    that ended meanwhile, in no order.
    """
    for fault in _pipe_faults(tools, job):
        return internal_error(fault) if fault == feeding.LOST else client_error(fault)
    failed = {host: end.ended_at or math.inf for host, end in exits.items() if end.code != 0}
    if not failed:
        return None
    first = min(failed, key=lambda host: failed[host])
    return _reason(tools, job, spec, first, exits[first])


def lost_pipes(tools: TrainingTools, job: TrainingJob) -> bool:
    """Whether a process that filled the job's pipes was lost, through no fault of the job's."""
    return _pipe_faults(tools, job)[:1] == [feeding.LOST]


def verdict_of(job: TrainingJob, reason: str | None) -> Verdict:
    """How a job ends whose containers have ended: a stop that was asked for counts first."""
    if job.stop_cause:
        return Verdict(stopped_as(job))
    if reason:
        return Verdict(SecondaryStatus.FAILED, reason)
    return Verdict(SecondaryStatus.COMPLETED)


def stopped_as(job: TrainingJob) -> SecondaryStatus:
    """The last secondary status of a job that was stopped."""
    if job.stop_cause is StopCause.MAX_RUNTIME:
        return SecondaryStatus.MAX_RUNTIME_EXCEEDED
    if job.stop_cause is StopCause.MAX_WAIT:
        return SecondaryStatus.MAX_WAIT_TIME_EXCEEDED
    return SecondaryStatus.STOPPED


def metrics_of(
    tools: TrainingTools, job: TrainingJob, spec: TrainingSpec
) -> tuple[MetricData, ...]:
    """The last value of each metric that the job's hosts printed, in any attempt."""
    return last_values(
        spec.metrics, [tools.logs.path(LOG_GROUP, stream) for stream in job.log_streams]
    )


def _pipe_faults(tools: TrainingTools, job: TrainingJob) -> list[str]:
    """Why pipes were not filled to their ends, host after host."""
    pipes = (tools.opt_ml(job, run.host).pipes for run in job.hosts)
    faults = (feeding.failure(folder) for folder in pipes if feeding.is_planned(folder))
    return [fault for fault in faults if fault is not None]


def _reason(
    tools: TrainingTools, job: TrainingJob, spec: TrainingSpec, host: str, end: Exit
) -> str:
    run = next(run for run in job.hosts if run.host == host)
    machine = next(h for h in spec.hosts if h.name == host)
    last = tools.logs.backwards(LOG_GROUP, run.log_stream, limit=LAST_LOG_LINES)
    return container_failed(
        ContainerEnd(
            host=host,
            exit_code=end.code,
            out_of_memory=end.out_of_memory,
            failure=_failure_text(tools, job, host),
            last_lines=[event.text for event in last.events],
            memory_bytes=tools.memory_bytes(machine),
            one_of_several=len(job.hosts) > 1,
        )
    )


def _failure_text(tools: TrainingTools, job: TrainingJob, host: str) -> str:
    # What the container left there may be a link out of its world, or a pipe that never ends.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with open(os.open(tools.opt_ml(job, host).failure, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return ""
            return file.read(FAILURE_BYTES).decode("utf-8", "replace")
    except OSError:
        # Not written, or not ours to read: the log has to say it.
        return ""

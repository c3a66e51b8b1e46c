"""A training job: its states, how they may follow one another, and its document.

The states and their messages are those of DescribeTrainingJob (SageMaker API reference,
`SecondaryStatusTransition`) and of the progress lines that the SageMaker SDK prints. Everything
here is a value: a move gives a new `TrainingJob`, which the engine commits before it acts on it.

    Starting -> Downloading -> Training -> Uploading -> Completed | Failed
        \\____________\\___________\\-> Stopping -> Uploading -> Stopped | MaxRuntimeExceeded
                                                             | MaxWaitTimeExceeded

A managed spot job may be interrupted while it trains: Training -> Interrupted -> Starting, as often
as it happens. A failure of the platform is repeated from Starting as often as RetryStrategy says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from sagelocal.domain.metrics import MetricData

KIND = "training-job"
LOG_GROUP = "/aws/sagemaker/TrainingJobs"


class TrainingJobStatus(StrEnum):
    """What ListTrainingJobs filters by."""

    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"


class SecondaryStatus(StrEnum):
    """How far a job has come."""

    STARTING = "Starting"
    DOWNLOADING = "Downloading"
    TRAINING = "Training"
    STOPPING = "Stopping"
    UPLOADING = "Uploading"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"
    MAX_RUNTIME_EXCEEDED = "MaxRuntimeExceeded"
    MAX_WAIT_TIME_EXCEEDED = "MaxWaitTimeExceeded"
    INTERRUPTED = "Interrupted"


class StopCause(StrEnum):
    """Why a job is being stopped."""

    REQUESTED = "StopTrainingJob"
    MAX_RUNTIME = "MaxRuntimeInSeconds"
    MAX_WAIT = "MaxWaitTimeInSeconds"


_S = SecondaryStatus

_STOPPED = frozenset({_S.STOPPED, _S.MAX_RUNTIME_EXCEEDED, _S.MAX_WAIT_TIME_EXCEEDED})

# What may follow what. Only an interruption leads back, so every path without one ends.
FOLLOWING: Mapping[SecondaryStatus, frozenset[SecondaryStatus]] = {
    _S.STARTING: frozenset({_S.DOWNLOADING, _S.STOPPING, _S.FAILED}),
    _S.DOWNLOADING: frozenset({_S.TRAINING, _S.STOPPING, _S.FAILED}),
    _S.TRAINING: frozenset({_S.UPLOADING, _S.STOPPING, _S.FAILED, _S.INTERRUPTED}),
    _S.INTERRUPTED: frozenset({_S.STARTING, _S.STOPPING, _S.FAILED}),
    _S.STOPPING: _STOPPED | {_S.UPLOADING, _S.FAILED},
    _S.UPLOADING: _STOPPED | {_S.COMPLETED, _S.FAILED},
    _S.COMPLETED: frozenset(),
    _S.FAILED: frozenset(),
    _S.STOPPED: frozenset(),
    _S.MAX_RUNTIME_EXCEEDED: frozenset(),
    _S.MAX_WAIT_TIME_EXCEEDED: frozenset(),
}

# The status that goes with each secondary status; Uploading keeps the one there is.
_STATUS: Mapping[SecondaryStatus, TrainingJobStatus] = {
    _S.STARTING: TrainingJobStatus.IN_PROGRESS,
    _S.DOWNLOADING: TrainingJobStatus.IN_PROGRESS,
    _S.TRAINING: TrainingJobStatus.IN_PROGRESS,
    _S.STOPPING: TrainingJobStatus.STOPPING,
    _S.COMPLETED: TrainingJobStatus.COMPLETED,
    _S.FAILED: TrainingJobStatus.FAILED,
    _S.STOPPED: TrainingJobStatus.STOPPED,
    _S.MAX_RUNTIME_EXCEEDED: TrainingJobStatus.STOPPED,
    _S.MAX_WAIT_TIME_EXCEEDED: TrainingJobStatus.STOPPED,
    _S.INTERRUPTED: TrainingJobStatus.IN_PROGRESS,
}

# What the SDK prints behind the secondary status, when a job enters it.
_MESSAGES: Mapping[SecondaryStatus, str] = {
    _S.STARTING: "Starting the training job",
    _S.DOWNLOADING: "Downloading input data",
    _S.TRAINING: "Downloading the training image",
    _S.STOPPING: "Stopping the training job",
    _S.UPLOADING: "Uploading generated training model",
    _S.COMPLETED: "Training job completed",
    _S.FAILED: "Training job failed",
    _S.STOPPED: "Training job stopped",
    _S.MAX_RUNTIME_EXCEEDED: "Training job runtime exceeded MaxRuntimeInSeconds provided",
    _S.MAX_WAIT_TIME_EXCEEDED: "Training job wait time exceeded MaxWaitTimeInSeconds provided",
    _S.INTERRUPTED: "Training job interrupted: the managed spot training instances were reclaimed",
}
PREPARING_INSTANCES = "Preparing the instances for training"
IMAGE_DOWNLOADED = "Training image download completed. Training in progress."

# Where a job's time is spent on instances.
_ON_INSTANCES = frozenset({_S.DOWNLOADING, _S.TRAINING, _S.STOPPING, _S.UPLOADING})

UNFINISHED = (TrainingJobStatus.IN_PROGRESS, TrainingJobStatus.STOPPING)


class IllegalTransition(Exception):
    """The job is not in a state from which that state can be reached."""


class NotInterruptible(Exception):
    """The job cannot be interrupted; the text says why."""


@dataclass(frozen=True)
class Transition:
    """One secondary status, from when to when (seconds since 1970)."""

    status: SecondaryStatus
    message: str
    started_at: float
    ended_at: float | None = None


@dataclass(frozen=True)
class HostRun:
    """The container of one host. `runtime` and `handle` are None until it was started."""

    host: str
    log_stream: str
    runtime: str | None = None
    handle: str | None = None


@dataclass(frozen=True)
class Verdict:
    """How the containers ended: decided once, then carried through the upload to the end."""

    status: SecondaryStatus
    failure_reason: str | None = None


@dataclass(frozen=True)
class TrainingJob:
    """A training job at one moment. Times are seconds since 1970.

    `request` is CreateTrainingJob's, without the tags. `trained_at` is when the containers of this
    attempt had been started: from then on MaxRuntimeInSeconds counts, less the `trained_before` (in
    seconds) of earlier attempts. `interruption` asks for the end of this attempt. `retries` counts
    the attempts that the platform failed. `pool_ended_at` is when the job's warm pool was taken
    over (`reused_by`) or given up before its time. `earlier_streams` are the log streams of the
    attempts before this one.
    """

    arn: str
    region: str
    name: str
    request: Mapping[str, Any]
    created_at: float
    modified_at: float
    status: TrainingJobStatus
    transitions: tuple[Transition, ...]
    started_at: float | None = None
    trained_at: float | None = None
    ended_at: float | None = None
    stop_cause: StopCause | None = None
    hosts: tuple[HostRun, ...] = ()
    verdict: Verdict | None = None
    failure_reason: str | None = None
    model_artifacts: str | None = None
    metrics: tuple[MetricData, ...] = ()
    interruption: bool = False
    trained_before: float = 0.0
    retries: int = 0
    reused_by: str | None = None
    pool_ended_at: float | None = None
    earlier_streams: tuple[str, ...] = ()

    @classmethod
    def created(
        cls, arn: str, region: str, name: str, request: Mapping[str, Any], now: float
    ) -> TrainingJob:
        """A new job, in Starting."""
        starting = Transition(_S.STARTING, _MESSAGES[_S.STARTING], now)
        return cls(arn, region, name, request, now, now, TrainingJobStatus.IN_PROGRESS, (starting,))

    @property
    def secondary_status(self) -> SecondaryStatus:
        return self.transitions[-1].status

    @property
    def finished(self) -> bool:
        return self.status not in UNFINISHED

    @property
    def log_streams(self) -> tuple[str, ...]:
        """The log streams of every attempt, oldest first."""
        current = (host.log_stream for host in self.hosts)
        return tuple(dict.fromkeys((*self.earlier_streams, *current)))

    @property
    def spot(self) -> bool:
        """Whether it runs on managed spot instances, which may be taken from it."""
        return bool(self.request.get("EnableManagedSpotTraining", False))

    @property
    def platform_failed(self) -> bool:
        """Whether it failed through no fault of its own."""
        return (self.failure_reason or "").startswith("InternalServerError")

    @property
    def training_seconds(self) -> int | None:
        """Whole seconds on the instances, at least one; None until it ended or if never there."""
        if self.started_at is None or self.ended_at is None:
            return None
        spent = sum(
            (t.ended_at or self.ended_at) - t.started_at
            for t in self.transitions
            if t.status in _ON_INSTANCES
        )
        return max(1, math.ceil(spent))

    def billable_seconds(self, spot_price_ratio: float) -> int | None:
        """What is billed of `training_seconds`: for spot, what they cost of on-demand ones."""
        seconds = self.training_seconds
        if seconds is None or not self.spot:
            return seconds
        return max(1, round(seconds * spot_price_ratio))

    def entering(self, status: SecondaryStatus, now: float) -> TrainingJob:
        """The job in its next state. Raises IllegalTransition."""
        if status not in FOLLOWING[self.secondary_status]:
            raise IllegalTransition(f"{self.name}: {self.secondary_status} -> {status}")
        closed = replace(self.transitions[-1], ended_at=now)
        final = not FOLLOWING[status]
        opened = Transition(status, _MESSAGES[status], now, now if final else None)
        job = replace(
            self,
            status=_STATUS.get(status, self.status),
            transitions=(*self.transitions[:-1], closed, opened),
            modified_at=now,
        )
        if status is _S.DOWNLOADING:
            return replace(job, started_at=self.started_at or now)
        return replace(job, ended_at=now) if final and self.started_at else job

    def saying(self, message: str, now: float) -> TrainingJob:
        """The job in the same state with another message."""
        current = replace(self.transitions[-1], message=message)
        return replace(self, transitions=(*self.transitions[:-1], current), modified_at=now)

    def stopping(self, cause: StopCause, now: float) -> TrainingJob:
        """The job once it is asked to stop; the first cause counts.

        While uploading there is nothing left to stop: it ends as it was going to end.
        """
        if self.finished or self.stop_cause or self.secondary_status is _S.UPLOADING:
            return self
        return replace(self.entering(_S.STOPPING, now), stop_cause=cause)

    def interrupting(self, now: float) -> TrainingJob:
        """The job once its instances are to be taken away. Raises NotInterruptible."""
        if not self.spot:
            raise NotInterruptible(
                f"{self.name} is no managed spot training job; only one that was created with "
                "EnableManagedSpotTraining can be interrupted"
            )
        if self.secondary_status is not _S.TRAINING or self.trained_at is None:
            raise NotInterruptible(
                f"{self.name} is in {self.secondary_status}; only a job whose containers run (in "
                "Training) can be interrupted"
            )
        return replace(self, interruption=True, modified_at=now)

    def interrupted(self, now: float) -> TrainingJob:
        """The job without its instances, about to begin again."""
        return self.entering(_S.INTERRUPTED, now)._attempt_ended(now)

    def retried(self, now: float) -> TrainingJob:
        """The job back in Starting because the platform failed it."""
        closed = replace(self.transitions[-1], ended_at=now)
        starting = Transition(_S.STARTING, PREPARING_INSTANCES, now)
        job = replace(
            self,
            transitions=(*self.transitions[:-1], closed, starting),
            retries=self.retries + 1,
            modified_at=now,
        )
        return job._attempt_ended(now)

    def restarted(self, now: float) -> TrainingJob:
        """The job in Starting: after an interruption, or because what it had begun was lost.

        Only for the engine, for a job whose containers are not known to have started, or are gone.
        """
        return replace(self._starting(now), hosts=(), earlier_streams=self.log_streams)

    def _starting(self, now: float) -> TrainingJob:
        if self.secondary_status is _S.INTERRUPTED:
            return self.entering(_S.STARTING, now).saying(PREPARING_INSTANCES, now)
        last = max(i for i, t in enumerate(self.transitions) if t.status is _S.STARTING)
        earlier, current = self.transitions[:last], self.transitions[last]
        starting = Transition(_S.STARTING, PREPARING_INSTANCES, current.started_at)
        started = (t.started_at for t in earlier if t.status is _S.DOWNLOADING)
        return replace(
            self,
            transitions=(*earlier, starting),
            started_at=next(started, None),
            trained_at=None,
            modified_at=now,
        )

    def _attempt_ended(self, now: float) -> TrainingJob:
        trained = now - self.trained_at if self.trained_at is not None else 0.0
        return replace(
            self,
            interruption=False,
            trained_at=None,
            trained_before=self.trained_before + trained,
        )


def to_document(job: TrainingJob) -> dict[str, Any]:
    """Everything of a job that JSON can carry; `from_document` reads it."""
    return asdict(job)


def from_document(document: Mapping[str, Any]) -> TrainingJob:
    """The job that `to_document` wrote."""
    values = dict(document)
    cause, verdict = values["stop_cause"], values["verdict"]
    values |= {
        "status": TrainingJobStatus(values["status"]),
        "transitions": tuple(
            Transition(**{**t, "status": SecondaryStatus(t["status"])})
            for t in values["transitions"]
        ),
        "stop_cause": StopCause(cause) if cause else None,
        "hosts": tuple(HostRun(**host) for host in values["hosts"]),
        "earlier_streams": tuple(values.get("earlier_streams", ())),
        "verdict": Verdict(SecondaryStatus(verdict["status"]), verdict["failure_reason"])
        if verdict
        else None,
        "metrics": tuple(MetricData(**metric) for metric in values["metrics"]),
    }
    return TrainingJob(**values)

"""A transform job at one moment, and what may become of it.

InProgress  ->  Completed, or Failed
    '---->  Stopping  ->  Stopped
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Self

from sagelocal.domain.deployments import Instance, Placed, Variant

KIND = "transform-job"
LOG_GROUP = "/aws/sagemaker/TransformJobs"


class TransformJobStatus(StrEnum):
    """TransformJobStatus."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"


UNFINISHED = (TransformJobStatus.IN_PROGRESS, TransformJobStatus.STOPPING)


@dataclass(frozen=True)
class TransformJob:
    """A transform job. Times are seconds since 1970.

    `request` is CreateTransformJob's, without the tags; `variant` is the model that it had then, on
    the instances of the job. `started_at` is when its instances were there.
    """

    arn: str
    region: str
    name: str
    request: Mapping[str, Any]
    variant: Variant
    created_at: float
    modified_at: float
    status: TransformJobStatus = TransformJobStatus.IN_PROGRESS
    started_at: float | None = None
    ended_at: float | None = None
    failure_reason: str | None = None

    @property
    def finished(self) -> bool:
        return self.status not in UNFINISHED

    def begun(self, now: float) -> Self:
        """Its instances are there."""
        return replace(self, started_at=self.started_at or now, modified_at=now)

    def stopping(self, now: float) -> Self:
        """Asked to stop; harmless if it has ended."""
        if self.finished:
            return self
        return replace(self, status=TransformJobStatus.STOPPING, modified_at=now)

    def ended(self, now: float, failure_reason: str | None = None) -> Self:
        """Stopped if that was asked for, else Completed, or Failed for a reason."""
        if self.status is TransformJobStatus.STOPPING:
            status, failure_reason = TransformJobStatus.STOPPED, None
        elif failure_reason:
            status = TransformJobStatus.FAILED
        else:
            status = TransformJobStatus.COMPLETED
        return replace(
            self, status=status, failure_reason=failure_reason, ended_at=now, modified_at=now
        )

    def place(self, instance_id: str, position: int, placed: Placed | None) -> Self:
        """The job with one container of one instance noted as started, or as gone."""
        return replace(self, variant=self.variant.place(instance_id, position, placed))


def to_document(job: TransformJob) -> dict[str, Any]:
    """Everything of a job that JSON can carry; `from_document` reads it."""
    return asdict(job)


def from_document(document: Mapping[str, Any]) -> TransformJob:
    """The job that `to_document` wrote."""
    return TransformJob(
        **{
            **document,
            "variant": Variant.from_document(document["variant"]),
            "status": TransformJobStatus(document["status"]),
        }
    )


def stream_of(job_name: str, instance: Instance) -> str:
    """The log stream of an instance of a job."""
    return f"{job_name}/{instance.id}"

"""Warm pools: what would be kept of a job's cluster for the next job that matches.

SageMaker developer guide, "SageMaker AI Managed Warm Pools". Nothing has to be kept warm here: the
machine, its images and environments are there anyway, and every job starts at once. What clients
see of a pool is as in the cloud: it is in use while its job runs, available for
KeepAlivePeriodInSeconds after that, and moves on to the next job that matches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sagelocal.domain.training import TrainingJob

# KeepAlivePeriodInSeconds is at most this (botocore shape KeepAlivePeriodInSeconds).
LONGEST_SECONDS = 21_600

# What two jobs must have in common for the second to take over the pool of the first.
_COMMON = ("RoleArn", "VpcConfig")
_COMMON_RESOURCES = ("InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId")
_COMMON_FLAGS = ("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption")


class WarmPoolStatus(StrEnum):
    """What ListTrainingJobs filters by."""

    IN_USE = "InUse"
    AVAILABLE = "Available"
    REUSED = "Reused"
    TERMINATED = "Terminated"


@dataclass(frozen=True)
class WarmPool:
    """A job's pool at one moment. `retained_seconds`: how long it was kept after the job."""

    status: WarmPoolStatus
    retained_seconds: int | None = None
    reused_by: str | None = None


def warm_pool_of(job: TrainingJob, now: float) -> WarmPool | None:
    """The job's pool; None for a job that asked for none."""
    keep_alive: int = job.request.get("ResourceConfig", {}).get("KeepAlivePeriodInSeconds", 0)
    if not keep_alive and job.pool_ended_at is None:
        return None
    if not job.finished:
        return WarmPool(WarmPoolStatus.IN_USE)
    if job.ended_at is None or job.platform_failed:
        # No cluster was started, or none that could be trusted.
        return WarmPool(WarmPoolStatus.TERMINATED)
    if job.pool_ended_at is not None:
        retained = math.ceil(job.pool_ended_at - job.ended_at)
        status = WarmPoolStatus.REUSED if job.reused_by else WarmPoolStatus.TERMINATED
        return WarmPool(status, retained, job.reused_by)
    if now < job.ended_at + keep_alive:
        return WarmPool(WarmPoolStatus.AVAILABLE, math.ceil(max(0.0, now - job.ended_at)))
    return WarmPool(WarmPoolStatus.TERMINATED, keep_alive)


def fits(job: TrainingJob, request: Mapping[str, Any]) -> bool:
    """Whether a job of this request may run on what the pool of `job` keeps."""
    mine, other = job.request, request
    resources, others = mine["ResourceConfig"], other["ResourceConfig"]
    if "InstanceGroups" in others or other.get("EnableManagedSpotTraining"):
        return False
    return (
        all(mine.get(name) == other.get(name) for name in _COMMON)
        and all(resources.get(name) == others.get(name) for name in _COMMON_RESOURCES)
        and all(mine.get(name, False) == other.get(name, False) for name in _COMMON_FLAGS)
    )

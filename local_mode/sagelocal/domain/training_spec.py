"""What a CreateTrainingJob request asks for, as values.

`TrainingSpec.of(request)` reads a request that the service model accepted; it raises ValueError,
in words fit for a ValidationException, for what the model's shapes cannot see.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sagelocal.domain.channels import (
    Channel,
    channels_of_request,
    check_instance_groups,
    s3_uri,
)
from sagelocal.domain.metrics import MetricDefinition
from sagelocal.domain.names import S3Uri

DEFAULT_MAX_RUNTIME_SECONDS = 86_400
HOMOGENEOUS_CLUSTER = "homogeneousCluster"

# Every instance is a container of this one machine.
MOST_INSTANCES = 100

DEFAULT_CHECKPOINT_PATH = "/opt/ml/checkpoints"
DEFAULT_TENSORBOARD_PATH = "/opt/ml/output/tensorboard"


@dataclass(frozen=True)
class InstanceGroup:
    """Hosts of one instance type."""

    name: str
    instance_type: str
    count: int


@dataclass(frozen=True)
class Host:
    """One machine of the job's cluster."""

    name: str
    group: str
    instance_type: str


@dataclass(frozen=True)
class KeptFolder:
    """A folder of the container that is kept in step with a prefix in S3."""

    uri: S3Uri
    path: str


@dataclass(frozen=True)
class TrainingSpec:
    """A training job as it was asked for."""

    image: str
    entrypoint: tuple[str, ...]
    arguments: tuple[str, ...]
    hyperparameters: Mapping[str, str]
    environment: Mapping[str, str]
    channels: tuple[Channel, ...]
    output: S3Uri
    output_compressed: bool
    groups: tuple[InstanceGroup, ...]
    max_runtime_seconds: int
    network_isolation: bool
    metrics: tuple[MetricDefinition, ...]
    checkpoints: KeptFolder | None = None
    tensorboard: KeptFolder | None = None
    max_wait_seconds: int | None = None
    max_retries: int = 0

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> TrainingSpec:
        """Raises ValueError, in the words of the service where those are known."""
        algorithm = request["AlgorithmSpecification"]
        _check_warm_pool(request)
        output = request["OutputDataConfig"]
        channels = channels_of_request(request, algorithm["TrainingInputMode"])
        groups = _not_too_many(_groups(request.get("ResourceConfig", {})))
        check_instance_groups(channels, [group.name for group in groups])
        return cls(
            image=_image(algorithm),
            entrypoint=tuple(algorithm.get("ContainerEntrypoint", ())),
            arguments=tuple(algorithm.get("ContainerArguments", ())),
            hyperparameters=dict(request.get("HyperParameters", {})),
            environment=dict(request.get("Environment", {})),
            channels=channels,
            output=s3_uri(output["S3OutputPath"]),
            output_compressed=output.get("CompressionType", "GZIP") == "GZIP",
            groups=groups,
            max_runtime_seconds=_max_runtime(request),
            network_isolation=bool(request.get("EnableNetworkIsolation", False)),
            metrics=_metrics(algorithm.get("MetricDefinitions", ())),
            checkpoints=_checkpoints(request.get("CheckpointConfig")),
            tensorboard=_tensorboard(request.get("TensorBoardOutputConfig")),
            max_wait_seconds=request.get("StoppingCondition", {}).get("MaxWaitTimeInSeconds"),
            max_retries=request.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0),
        )

    @property
    def hosts(self) -> tuple[Host, ...]:
        """algo-1 to algo-N, group after group."""
        members = [group for group in self.groups for _ in range(group.count)]
        return tuple(
            Host(f"algo-{number}", group.name, group.instance_type)
            for number, group in enumerate(members, start=1)
        )

    def job_output(self, job_name: str) -> S3Uri:
        """`s3://bucket/prefix/JOB/output`, below which everything of the job is uploaded."""
        prefix = self.output.key.strip("/")
        return S3Uri(self.output.bucket, f"{prefix}/{job_name}/output".lstrip("/"))


def _image(algorithm: Mapping[str, Any]) -> str:
    image, name = algorithm.get("TrainingImage"), algorithm.get("AlgorithmName")
    if bool(image) == bool(name):
        raise ValueError(
            "Invalid AlgorithmSpecification: exactly one of TrainingImage and AlgorithmName must "
            "be specified"
        )
    if not image:
        raise ValueError(f"Algorithm {name!r} does not exist; specify a TrainingImage instead")
    return str(image)


def _groups(resources: Mapping[str, Any]) -> tuple[InstanceGroup, ...]:
    named = resources.get("InstanceGroups")
    if named:
        if "InstanceType" in resources or "InstanceCount" in resources:
            raise ValueError(
                "Invalid ResourceConfig: InstanceGroups cannot be combined with InstanceType and "
                "InstanceCount"
            )
        names = [group["InstanceGroupName"] for group in named]
        if len(set(names)) < len(names):
            raise ValueError(
                f"Invalid ResourceConfig: instance group names must be unique, got {names}"
            )
        return tuple(
            InstanceGroup(
                group["InstanceGroupName"],
                group["InstanceType"],
                _at_least_one(group["InstanceCount"]),
            )
            for group in named
        )
    if "InstanceType" not in resources or "InstanceCount" not in resources:
        raise ValueError(
            "Invalid ResourceConfig: InstanceType and InstanceCount, or InstanceGroups, must be "
            "specified"
        )
    count = _at_least_one(resources["InstanceCount"])
    return (InstanceGroup(HOMOGENEOUS_CLUSTER, resources["InstanceType"], count),)


def _not_too_many(groups: tuple[InstanceGroup, ...]) -> tuple[InstanceGroup, ...]:
    count = sum(group.count for group in groups)
    if count > MOST_INSTANCES:
        raise ValueError(
            f"Invalid ResourceConfig: {count} instances; sagelocal runs at most {MOST_INSTANCES} "
            "for a training job"
        )
    return groups


def _at_least_one(count: int) -> int:
    if count < 1:
        raise ValueError(
            f"1 validation error detected: Value '{count}' at 'resourceConfig.instanceCount' "
            "failed to satisfy constraint: Member must have value greater than or equal to 1"
        )
    return count


def _max_runtime(request: Mapping[str, Any]) -> int:
    condition = request.get("StoppingCondition", {})
    runtime = int(condition.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_SECONDS))
    wait = condition.get("MaxWaitTimeInSeconds")
    if not request.get("EnableManagedSpotTraining", False):
        if wait is not None:
            raise ValueError(
                "Invalid MaxWaitTimeInSeconds. It is only supported when "
                "EnableManagedSpotTraining is set to true"
            )
    elif wait is None or wait < runtime:
        raise ValueError(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to "
            "MaxRuntimeInSeconds"
        )
    return runtime


def _check_warm_pool(request: Mapping[str, Any]) -> None:
    resources = request.get("ResourceConfig", {})
    if not resources.get("KeepAlivePeriodInSeconds"):
        return
    if request.get("EnableManagedSpotTraining", False):
        raise ValueError(
            "Invalid KeepAlivePeriodInSeconds. It is not supported when EnableManagedSpotTraining "
            "is set to true"
        )
    if resources.get("InstanceGroups"):
        raise ValueError("Invalid KeepAlivePeriodInSeconds. It is not supported for InstanceGroups")


def _metrics(definitions: Sequence[Mapping[str, str]]) -> tuple[MetricDefinition, ...]:
    metrics = []
    for definition in definitions:
        name, regex = definition["Name"], definition["Regex"]
        try:
            metrics.append(MetricDefinition(name, regex))
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(
                f"Invalid Regex {regex!r} of metric {name!r} in MetricDefinitions: {error}"
            ) from error
    return tuple(metrics)


def _checkpoints(config: Mapping[str, str] | None) -> KeptFolder | None:
    if config is None:
        return None
    path = config.get("LocalPath", DEFAULT_CHECKPOINT_PATH)
    if not path.startswith("/") or posixpath.normpath(path) in ("/", "/opt", "/opt/ml"):
        raise ValueError(
            f"Invalid LocalPath {path!r} of CheckpointConfig; it must be the absolute path of a "
            f"folder for checkpoints alone, such as {DEFAULT_CHECKPOINT_PATH}"
        )
    _check_reserved("CheckpointConfig", path, ("/opt/ml/input",))
    return KeptFolder(s3_uri(config["S3Uri"]), path)


def _tensorboard(config: Mapping[str, str] | None) -> KeptFolder | None:
    if config is None:
        return None
    path = config.get("LocalPath", DEFAULT_TENSORBOARD_PATH)
    # The default is in a reserved path itself, and what the developer guide tells to name.
    if posixpath.normpath(path) != DEFAULT_TENSORBOARD_PATH:
        _check_reserved("TensorBoardOutputConfig", path, ("/opt/ml", "/tmp", "/usr/local/nvidia"))
        if not path.startswith("/") or posixpath.normpath(path) in ("/", "/opt"):
            raise ValueError(
                f"Invalid LocalPath {path!r} of TensorBoardOutputConfig; it must be the absolute "
                f"path of a folder for TensorBoard alone, such as {DEFAULT_TENSORBOARD_PATH}"
            )
    return KeptFolder(s3_uri(config["S3OutputPath"]), path)


def _check_reserved(member: str, path: str, reserved: Sequence[str]) -> None:
    """In the words that the service has for TensorBoardOutputConfig."""
    place = posixpath.normpath(path)
    if any(place == folder or place.startswith(f"{folder}/") for folder in reserved):
        raise ValueError(
            f'"LocalPath" of "{member}" cannot start with the following reserved path: '
            f"[{', '.join(reserved)}]"
        )

"""Jobs and endpoints as spec files again: the inverse of `spec` and `plan`.

`read_spec(training_toml(job))`, planned, asks for the same job. What a spec has no key for is left
out, and `left_out` names it, so that nobody takes the file for the whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sagelocal.cloud.spec import DEFAULT_VOLUME_GB

_BARE = re.compile(r"^[A-Za-z0-9_-]+$")
# Members of DescribeTrainingJob that a spec cannot say. Defaults that are always there are none.
_UNSAID = (
    "VpcConfig",
    "DebugHookConfig",
    "DebugRuleConfigurations",
    "TensorBoardOutputConfig",
    "ExperimentConfig",
    "ProfilerConfig",
    "ProfilerRuleConfigurations",
    "RetryStrategy",
    "RemoteDebugConfig",
    "InfraCheckConfig",
)

Tables = Mapping[str, Mapping[str, Any]]


def training_toml(job: Mapping[str, Any], tags: Mapping[str, str]) -> str:
    """The spec of a training job, from DescribeTrainingJob and its tags."""
    algorithm, resources = job["AlgorithmSpecification"], job["ResourceConfig"]
    stopping, output = job["StoppingCondition"], job["OutputDataConfig"]
    checkpoints = job.get("CheckpointConfig", {})
    top = {
        "name": job["TrainingJobName"],
        "image": algorithm.get("TrainingImage"),
        "role": job.get("RoleArn"),
        "input_mode": algorithm["TrainingInputMode"],
        "network_isolation": job.get("EnableNetworkIsolation") or None,
    }
    tables: dict[str, Mapping[str, Any]] = {
        f"data.{_key(channel['ChannelName'])}": _channel(channel)
        for channel in job.get("InputDataConfig", ())
    }
    tables |= {
        "hyperparameters": job.get("HyperParameters", {}),
        "environment": job.get("Environment", {}),
        "instance": {
            "type": resources.get("InstanceType"),
            "count": resources.get("InstanceCount"),
            "volume_gb": resources.get("VolumeSizeInGB") or DEFAULT_VOLUME_GB,
        },
        "limits": {
            "max_run_seconds": stopping["MaxRuntimeInSeconds"],
            "max_wait_seconds": stopping.get("MaxWaitTimeInSeconds"),
            "spot": job.get("EnableManagedSpotTraining") or None,
        },
        "output": {
            "s3": output["S3OutputPath"],
            "compressed": False if output.get("CompressionType") == "NONE" else None,
        },
        "checkpoints": {"s3": checkpoints.get("S3Uri"), "path": checkpoints.get("LocalPath")},
        "metrics": {m["Name"]: m["Regex"] for m in algorithm.get("MetricDefinitions", ())},
        "tags": tags,
    }
    return toml_of(top, tables)


def left_out(job: Mapping[str, Any]) -> list[str]:
    """What the job has that `training_toml` cannot say."""
    found = [name for name in _UNSAID if job.get(name)]
    if job["ResourceConfig"].get("InstanceGroups"):
        found.append("InstanceGroups")
    algorithm = job["AlgorithmSpecification"]
    found += [
        n for n in ("AlgorithmName", "ContainerEntrypoint", "ContainerArguments") if n in algorithm
    ]
    sources = [channel["DataSource"] for channel in job.get("InputDataConfig", ())]
    return found + sorted({name for each in sources for name in each if name != "S3DataSource"})


def endpoint_toml(
    name: str,
    image: str,
    *,
    model: str | None,
    environment: Mapping[str, str],
    role: str | None,
    variant: Mapping[str, Any],
) -> str:
    """The spec of an endpoint; `variant` is that of an endpoint configuration, or empty."""
    serverless = variant.get("ServerlessConfig", {})
    top = {"kind": "endpoint", "name": name, "image": image, "role": role, "model": model}
    instance = {
        "type": variant.get("InstanceType", "ml.m5.large"),
        "count": variant.get("InitialInstanceCount", 1),
    }
    tables = {
        "environment": environment,
        "instance": {} if serverless else instance,
        "serverless": {
            "memory_mb": serverless.get("MemorySizeInMB"),
            "max_concurrency": serverless.get("MaxConcurrency"),
        },
        "variant": {
            "name": variant.get("VariantName"),
            "startup_timeout_seconds": variant.get("ContainerStartupHealthCheckTimeoutInSeconds"),
        },
    }
    return toml_of(top, tables)


def toml_of(top: Mapping[str, Any], tables: Tables) -> str:
    """TOML text; members that are None are left out, and so are empty tables."""
    blocks = ["\n".join(_lines(top))]
    for name, members in tables.items():
        lines = list(_lines(members))
        if lines:
            blocks.append("\n".join([f"[{name}]", *lines]))
    return "\n\n".join(blocks) + "\n"


def _channel(channel: Mapping[str, Any]) -> dict[str, Any]:
    source = channel["DataSource"].get("S3DataSource", {})
    return {
        "source": source.get("S3Uri"),
        "content_type": channel.get("ContentType"),
        "input_mode": channel.get("InputMode"),
        "compression": _unless(channel.get("CompressionType"), "None"),
        "distribution": _unless(source.get("S3DataDistributionType"), "FullyReplicated"),
        "data_type": _unless(source.get("S3DataType"), "S3Prefix"),
    }


def _unless(value: str | None, default: str) -> str | None:
    return None if value == default else value


def _lines(members: Mapping[str, Any]) -> Iterator[str]:
    for name, value in members.items():
        if value is not None:
            yield f"{_key(name)} = {_value(value)}"


def _key(name: str) -> str:
    return name if _BARE.match(name) else _value(name)


def _value(value: str | int | bool | Sequence[Any]) -> str:
    """JSON's strings are TOML's, but for DEL, which TOML wants escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

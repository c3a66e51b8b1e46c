"""What a spec means for AWS: files to upload and API calls, as values.

`plan_of(spec, place)` is a pure function, so that what a dry run shows is what a real one sends.
Shapes: the botocore models of CreateTrainingJob, CreateModel, CreateEndpointConfig, CreateEndpoint
and CreateTransformJob.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sagelocal.cloud.spec import (
    Channel,
    EndpointSpec,
    Instances,
    Kind,
    Source,
    Spec,
    TrainingSpec,
    TransformSpec,
)
from sagelocal.domain.names import S3Uri

SERVICE = "sagemaker"
ARCHIVE = "model.tar.gz"
LONGEST_NAME = 63


@dataclass(frozen=True)
class Upload:
    """A file or folder of this machine and the prefix it goes to; `packed` as one model.tar.gz."""

    source: Path
    to: S3Uri
    packed: bool = False


@dataclass(frozen=True)
class PlannedCall:
    """One API call; `undo` takes back what it made if a later one is refused."""

    service: str
    operation: str
    parameters: Mapping[str, Any]
    undo: tuple[str, Mapping[str, Any]] | None = None


@dataclass(frozen=True)
class Place:
    """What a spec leaves open: names are unique there, and these exist."""

    name: str
    moment: datetime
    image: str
    role: str
    bucket: str


@dataclass(frozen=True)
class Plan:
    """Everything that will be sent, in this order. `name` is that of the job or endpoint.

    `output` is where a job will put its results: None for an endpoint.
    """

    kind: Kind
    name: str
    uploads: tuple[Upload, ...]
    calls: tuple[PlannedCall, ...]
    output: S3Uri | None = None

    @property
    def buckets(self) -> tuple[str, ...]:
        """Those that have to be there before anything is sent."""
        written = [upload.to for upload in self.uploads] + ([self.output] if self.output else [])
        return tuple(dict.fromkeys(uri.bucket for uri in written))


def unique_name(base: str, moment: datetime) -> str:
    """A name that no earlier job has: `my-job-2026-01-31-23-59-59-123`, of 63 characters at most.

    >>> unique_name("my-job", datetime(2026, 1, 31, 23, 59, 59, 123_000))
    'my-job-2026-01-31-23-59-59-123'
    """
    stamp = moment.strftime("%Y-%m-%d-%H-%M-%S-") + f"{moment.microsecond // 1000:03}"
    return f"{base[: LONGEST_NAME - len(stamp) - 1].rstrip('-')}-{stamp}"


def plan_of(spec: Spec, place: Place) -> Plan:
    """The uploads and calls that make the spec real at a place."""
    if isinstance(spec, TrainingSpec):
        return _training(spec, place)
    if isinstance(spec, EndpointSpec):
        return _endpoint(spec, place)
    return _transform(spec, place)


class _Uploads:
    """Gathers what has to be uploaded, and says where it will be."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.found: list[Upload] = []

    def prefix(self, source: Source, name: str) -> str:
        """The URI of data; a local file or folder becomes a prefix of its own."""
        if isinstance(source, S3Uri):
            return str(source)
        return self._add(source, f"input/{name}/")

    def model(self, source: Source) -> str:
        """The URI of a model.tar.gz; a local folder, or another file, is packed into one."""
        if isinstance(source, S3Uri):
            return str(source)
        packed = source.is_dir() or not re.search(r"\.(tar\.gz|tgz)$", source.name)
        return self._add(source, f"model/{ARCHIVE}", packed)

    def _add(self, source: Path, below: str, packed: bool = False) -> str:
        uri = S3Uri(self._place.bucket, f"{self._place.name}/{below}")
        self.found.append(Upload(source, uri, packed))
        return str(uri)


def _training(spec: TrainingSpec, place: Place) -> Plan:
    uploads = _Uploads(place)
    output = spec.output or S3Uri(place.bucket, "")
    stopping: dict[str, Any] = {"MaxRuntimeInSeconds": spec.limits.max_run_seconds}
    if spec.limits.spot:
        wait = spec.limits.max_wait_seconds or spec.limits.max_run_seconds
        stopping["MaxWaitTimeInSeconds"] = wait
    checkpoints = spec.checkpoints
    parameters = _given(
        TrainingJobName=place.name,
        AlgorithmSpecification=_given(
            TrainingImage=place.image,
            TrainingInputMode=spec.input_mode,
            MetricDefinitions=[
                {"Name": name, "Regex": regex} for name, regex in spec.metrics.items()
            ],
        ),
        RoleArn=place.role,
        InputDataConfig=[_channel(channel, uploads) for channel in spec.channels],
        OutputDataConfig=_given(
            S3OutputPath=str(output), CompressionType=None if spec.compressed else "NONE"
        ),
        ResourceConfig={
            **_instances(spec.instances, "InstanceCount"),
            "VolumeSizeInGB": spec.volume_gb,
        },
        StoppingCondition=stopping,
        EnableManagedSpotTraining=spec.limits.spot or None,
        EnableNetworkIsolation=spec.network_isolation or None,
        CheckpointConfig=checkpoints
        and _given(S3Uri=str(checkpoints.s3), LocalPath=checkpoints.path),
        HyperParameters=dict(spec.hyperparameters),
        Environment=dict(spec.common.environment),
        Tags=_tags(spec),
    )
    call = PlannedCall(SERVICE, "CreateTrainingJob", parameters)
    return Plan("training", place.name, tuple(uploads.found), (call,), output)


def _channel(channel: Channel, uploads: _Uploads) -> dict[str, Any]:
    return _given(
        ChannelName=channel.name,
        DataSource={
            "S3DataSource": {
                "S3DataType": channel.data_type,
                "S3Uri": uploads.prefix(channel.source, channel.name),
                "S3DataDistributionType": channel.distribution,
            }
        },
        ContentType=channel.content_type,
        CompressionType=channel.compression,
        InputMode=channel.input_mode,
    )


def _endpoint(spec: EndpointSpec, place: Place) -> Plan:
    """A model and a configuration with the moment in their names, and the endpoint itself."""
    name = spec.common.name
    place = Place(
        unique_name(name, place.moment), place.moment, place.image, place.role, place.bucket
    )
    uploads = _Uploads(place)
    compute: dict[str, Any] = (
        _instances(spec.compute, "InitialInstanceCount")
        if isinstance(spec.compute, Instances)
        else {
            "ServerlessConfig": {
                "MemorySizeInMB": spec.compute.memory_mb,
                "MaxConcurrency": spec.compute.max_concurrency,
            }
        }
    )
    variant = _given(
        VariantName=spec.variant,
        ModelName=place.name,
        InitialVariantWeight=1.0,
        **compute,
        ContainerStartupHealthCheckTimeoutInSeconds=spec.startup_timeout_seconds,
    )
    calls = (
        _model(spec, place, uploads),
        PlannedCall(
            SERVICE,
            "CreateEndpointConfig",
            _given(EndpointConfigName=place.name, ProductionVariants=[variant], Tags=_tags(spec)),
            ("DeleteEndpointConfig", {"EndpointConfigName": place.name}),
        ),
        PlannedCall(
            SERVICE,
            "CreateEndpoint",
            _given(EndpointName=name, EndpointConfigName=place.name, Tags=_tags(spec)),
        ),
    )
    return Plan("endpoint", name, tuple(uploads.found), calls)


def _transform(spec: TransformSpec, place: Place) -> Plan:
    uploads = _Uploads(place)
    model = _model(spec, place, uploads)
    output = spec.output or S3Uri(place.bucket, f"{place.name}/output")
    job = _given(
        TransformJobName=place.name,
        ModelName=place.name,
        MaxConcurrentTransforms=spec.max_concurrent,
        MaxPayloadInMB=spec.max_payload_mb,
        BatchStrategy=spec.strategy,
        TransformInput=_given(
            DataSource={
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": uploads.prefix(spec.input, "data"),
                }
            },
            ContentType=spec.content_type,
            CompressionType=spec.compression,
            SplitType=spec.split,
        ),
        TransformOutput=_given(
            S3OutputPath=str(output), Accept=spec.accept, AssembleWith=spec.assemble
        ),
        TransformResources=_instances(spec.instances, "InstanceCount"),
        Tags=_tags(spec),
    )
    calls = (model, PlannedCall(SERVICE, "CreateTransformJob", job))
    return Plan("transform", place.name, tuple(uploads.found), calls, output)


def _model(spec: EndpointSpec | TransformSpec, place: Place, uploads: _Uploads) -> PlannedCall:
    container = _given(
        Image=place.image,
        ModelDataUrl=spec.model and uploads.model(spec.model),
        Environment=dict(spec.common.environment),
    )
    isolation = isinstance(spec, EndpointSpec) and spec.network_isolation
    parameters = _given(
        ModelName=place.name,
        PrimaryContainer=container,
        ExecutionRoleArn=place.role,
        EnableNetworkIsolation=isolation or None,
        Tags=_tags(spec),
    )
    return PlannedCall(
        SERVICE, "CreateModel", parameters, ("DeleteModel", {"ModelName": place.name})
    )


def _instances(instances: Instances, count: str) -> dict[str, Any]:
    return {"InstanceType": instances.type, count: instances.count}


def _tags(spec: Spec) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in spec.common.tags.items()]


def _given(**members: Any) -> dict[str, Any]:
    """The members that say something."""
    return {name: value for name, value in members.items() if value not in (None, [], {})}

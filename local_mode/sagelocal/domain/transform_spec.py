"""What a CreateTransformJob request asks for, checked and with its defaults.

Source: SageMaker API reference, CreateTransformJob; developer guide, "Use Your Own Inference Code
with Batch Transform" and "Associate Prediction Results with Input Records".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sagelocal.domain.channels import Channel
from sagelocal.domain.data_processing import EVERYTHING, DataProcessing
from sagelocal.domain.names import S3Uri

SplitType = Literal["None", "Line", "RecordIO", "TFRecord"]
BatchStrategy = Literal["MULTI_RECORD", "SINGLE_RECORD"]

MIB = 1024**2
DEFAULT_TIMEOUT_SECONDS = 600
DEFAULT_RETRIES = 3
# MaxConcurrentTransforms times MaxPayloadInMB.
MOST_MEGABYTES_AT_ONCE = 100
# The API's words, and those of containers' variables and of /execution-parameters.
STRATEGIES: Mapping[str, BatchStrategy] = {
    "MultiRecord": "MULTI_RECORD",
    "SingleRecord": "SINGLE_RECORD",
}


@dataclass(frozen=True)
class ExecutionParameters:
    """How a container is to be called: so many requests at once, each with so much.

    `max_payload_mb` 0 is no limit.
    """

    max_concurrent: int = 1
    strategy: BatchStrategy = "MULTI_RECORD"
    max_payload_mb: int = 6

    @property
    def most_bytes(self) -> int | None:
        return self.max_payload_mb * MIB or None


@dataclass(frozen=True)
class TransformSpec:
    """A transform job on paper. What the request leaves to the container is None."""

    model_name: str
    data: Channel
    output: S3Uri
    instance_type: str
    instance_count: int
    gzipped: bool = False
    split_type: SplitType = "None"
    accept: str | None = None
    assemble_by_line: bool = False
    processing: DataProcessing = field(default_factory=DataProcessing)
    max_concurrent: int | None = None
    strategy: BatchStrategy | None = None
    max_payload_mb: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    retries: int = DEFAULT_RETRIES

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> TransformSpec:
        """Raises ValueError, in words for whoever sent it."""
        given, output = request["TransformInput"], request["TransformOutput"]
        source, client = given["DataSource"]["S3DataSource"], request.get("ModelClientConfig", {})
        resources, strategy = request["TransformResources"], request.get("BatchStrategy")
        content_type = given.get("ContentType")
        spec = cls(
            model_name=request["ModelName"],
            data=Channel(
                "transform input",
                S3Uri.parse(source["S3Uri"]),
                source["S3DataType"],
                content_type=content_type,
            ),
            output=S3Uri.parse(output["S3OutputPath"]),
            instance_type=resources["InstanceType"],
            instance_count=resources["InstanceCount"],
            gzipped=given.get("CompressionType", "None") == "Gzip",
            split_type=given.get("SplitType", "None"),
            accept=output.get("Accept"),
            assemble_by_line=output.get("AssembleWith", "None") == "Line",
            processing=_processing(request.get("DataProcessing", {}), content_type),
            max_concurrent=request.get("MaxConcurrentTransforms"),
            strategy=STRATEGIES[strategy] if strategy else None,
            max_payload_mb=request.get("MaxPayloadInMB"),
            environment=request.get("Environment", {}),
            timeout_seconds=client.get("InvocationsTimeoutInSeconds", DEFAULT_TIMEOUT_SECONDS),
            retries=client.get("InvocationsMaxRetries", DEFAULT_RETRIES),
        )
        spec._check()
        return spec

    @property
    def variables(self) -> dict[str, str]:
        """What a container is told of the job: what the request says, and the job's own."""
        told = {
            "SAGEMAKER_BATCH": "true",
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": self.max_concurrent,
            "SAGEMAKER_BATCH_STRATEGY": self.strategy,
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": self.max_payload_mb,
        }
        return {name: str(value) for name, value in told.items() if value is not None}

    def parameters(self, container: ExecutionParameters) -> ExecutionParameters:
        """The request's, or those that the container asks for; 0 at once leaves it to that."""
        payload = self.max_payload_mb
        return ExecutionParameters(
            self.max_concurrent or container.max_concurrent,
            self.strategy or container.strategy,
            container.max_payload_mb if payload is None else payload,
        )

    def _check(self) -> None:
        at_once = (self.max_concurrent or 0) * (self.max_payload_mb or 0)
        if at_once > MOST_MEGABYTES_AT_ONCE:
            raise ValueError(
                f"MaxConcurrentTransforms ({self.max_concurrent}) times MaxPayloadInMB "
                f"({self.max_payload_mb}) is {at_once} MB; it must not be more than "
                f"{MOST_MEGABYTES_AT_ONCE} MB"
            )
        if self.data.data_type not in ("S3Prefix", "ManifestFile"):
            raise ValueError(
                f"S3DataType {self.data.data_type} is not for transform jobs; use S3Prefix or "
                "ManifestFile"
            )
        if self.processing.does_something and self.split_type in ("RecordIO", "TFRecord"):
            raise ValueError(
                f"DataProcessing reads CSV, JSON and JSON Lines; SplitType {self.split_type} has "
                "records of neither"
            )


def _processing(given: Mapping[str, Any], content_type: str | None) -> DataProcessing:
    """Raises ValueError."""
    return DataProcessing.of(
        content_type,
        given.get("InputFilter", EVERYTHING),
        given.get("OutputFilter", EVERYTHING),
        join=given.get("JoinSource", "None") == "Input",
    )

"""Asynchronous endpoints: what is asked of them, and where answers go.

Sources: the botocore shapes AsyncInferenceConfig and InvokeEndpointAsyncInput; developer guide,
"Asynchronous Inference".
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from sagelocal.domain.names import S3Uri

DEFAULT_CONCURRENCY_PER_INSTANCE = 4
DEFAULT_TTL_SECONDS = 6 * 3600
DEFAULT_TIMEOUT_SECONDS = 15 * 60


@dataclass(frozen=True)
class AsyncInference:
    """An AsyncInferenceConfig: where answers and failures go, how many calls run at once."""

    output_path: S3Uri
    failure_path: S3Uri | None
    concurrency_per_instance: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self:
        """Raises ValueError for a path that is missing or is none."""
        output = config["OutputConfig"]
        if not output.get("S3OutputPath"):
            raise ValueError("AsyncInferenceConfig without OutputConfig.S3OutputPath")
        failure = output.get("S3FailurePath")
        client = config.get("ClientConfig", {})
        return cls(
            S3Uri.parse(output["S3OutputPath"]),
            S3Uri.parse(failure) if failure else None,
            client.get("MaxConcurrentInvocationsPerInstance", DEFAULT_CONCURRENCY_PER_INSTANCE),
        )


@dataclass(frozen=True)
class AsyncInvocation:
    """One request in the queue of an endpoint. Times are seconds since 1970.

    The payload is at `input`, or in `body` as base64. `headers` go to the container.
    """

    id: str
    endpoint_arn: str
    inference_id: str
    output: str
    failure: str | None
    expires_at: float
    timeout_seconds: float
    input: str | None = None
    body: str | None = None
    content_type: str | None = None
    accept: str | None = None
    headers: Mapping[str, str] | None = None

    @classmethod
    def asked(
        cls, endpoint_arn: str, config: AsyncInference, params: Mapping[str, Any], now: float
    ) -> Self:
        """From an InvokeEndpointAsync request, whose Body is base64 here; its answer is
        `<output path>/[<extension>/]<file name>`, its failure `<failure path>/<id>-error.out`.
        """
        inference_id = params.get("InferenceId") or str(uuid.uuid4())
        name = params.get("Filename") or f"{inference_id}.out"
        extension = params.get("S3OutputPathExtension", "")
        failure = config.failure_path
        return cls(
            id=str(uuid.uuid4()),
            endpoint_arn=endpoint_arn,
            inference_id=inference_id,
            output=_below(config.output_path, extension, name),
            failure=_below(failure, "", f"{inference_id}-error.out") if failure else None,
            expires_at=now + params.get("RequestTTLSeconds", DEFAULT_TTL_SECONDS),
            timeout_seconds=params.get("InvocationTimeoutSeconds", DEFAULT_TIMEOUT_SECONDS),
            input=params.get("InputLocation"),
            body=params.get("Body"),
            content_type=params.get("ContentType"),
            accept=params.get("Accept"),
        )

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        return replace(self, headers=headers)


def _below(path: S3Uri, extension: str, name: str) -> str:
    parts = (path.key.strip("/"), extension.strip("/"), name)
    return f"s3://{path.bucket}/{'/'.join(part for part in parts if part)}"

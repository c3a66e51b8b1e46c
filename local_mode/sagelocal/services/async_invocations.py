"""sagemaker-runtime: InvokeEndpointAsync."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Any

from sagelocal.domain.async_inference import AsyncInference, AsyncInvocation
from sagelocal.protocol.faults import Fault
from sagelocal.services.calls import Call, OperationTable, Params, Result

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

LONGEST_INLINE_BYTES = 128_000
CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"


def invoke_endpoint_async(plane: Plane, call: Call, params: Params) -> Result:
    """Keep the request; its answer will be in S3, at the location told here."""
    name: str = params["EndpointName"]
    arn = call.scope.sagemaker_arn("endpoint", name)
    config = _config(plane, call, name, arn)
    invocation = AsyncInvocation.asked(arn, config, _payload(params), time.time())
    headers = {INFERENCE_ID: invocation.inference_id}
    if "CustomAttributes" in params:
        headers[CUSTOM_ATTRIBUTES] = params["CustomAttributes"]
    invocation = invocation.with_headers(headers)
    plane.asynchronous.accept(invocation, call.scope.region)
    failure = {"FailureLocation": invocation.failure} if invocation.failure else {}
    return {
        "InferenceId": invocation.inference_id,
        "OutputLocation": invocation.output,
        **failure,
    }


def _config(plane: Plane, call: Call, name: str, arn: str) -> AsyncInference:
    """Raises Fault for an endpoint that is not there, or answers at once."""
    deployment = plane.hosting.serving(arn)
    if deployment is None:
        raise _refused(f"Endpoint {name} of account {call.scope.account} not found.")
    if deployment.asynchronous is None:
        raise _refused(
            f"Endpoint {name} is not an asynchronous endpoint and does not support "
            "InvokeEndpointAsync. Call it by InvokeEndpoint, or give its configuration an "
            "AsyncInferenceConfig."
        )
    return AsyncInference.of(deployment.asynchronous)


def _payload(params: Params) -> dict[str, Any]:
    """The request with its body as text. Raises Fault unless it has one payload."""
    body: bytes = params.get("Body") or b""
    if bool(body) == bool(params.get("InputLocation")):
        raise _refused("Exactly one of InputLocation and Body must be given.")
    if len(body) > LONGEST_INLINE_BYTES:
        raise _refused(
            "1 validation error detected: Value at 'body' failed to satisfy constraint: Member "
            f"must have length less than or equal to {LONGEST_INLINE_BYTES}"
        )
    given = {key: value for key, value in params.items() if key != "Body"}
    return {**given, "Body": base64.b64encode(body).decode()} if body else given


def _refused(message: str) -> Fault:
    return Fault("ValidationError", message)


OPERATIONS: OperationTable = {
    ("sagemaker-runtime", "InvokeEndpointAsync"): invoke_endpoint_async,
}

"""sagemaker-runtime: InvokeEndpoint and InvokeEndpointWithResponseStream.

Refusals in the service's words: the botocore sagemaker-runtime model names the errors; what they
say is as clients have reported it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sagelocal.domain.data_capture import DataCapture, Side
from sagelocal.domain.deployments import log_group
from sagelocal.domain.hosting_reasons import model_error
from sagelocal.engine.deployments import NoSuchVariant
from sagelocal.engine.endpoint_records import NoSuchEndpoint
from sagelocal.engine.hosting import NotServing
from sagelocal.engine.invocation import (
    Invocation,
    MissingTargetModel,
    ModelAnswer,
    ModelFault,
    ModelStream,
    NoSuchContainer,
    NotMultiModel,
    StreamFault,
)
from sagelocal.engine.loaded_models import NotReady
from sagelocal.engine.model_shelf import TargetModelFault
from sagelocal.protocol.event_stream import Event
from sagelocal.protocol.faults import Fault
from sagelocal.services.calls import Call, OperationTable, Params, Result

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

log = logging.getLogger(__name__)

# What is longer than the limit by more than this, the service's front refuses, unread.
_SLACK_BYTES = 4096

# Members of the request that a container gets as headers, and of the answer that it may set so.
_REQUEST_HEADERS = {
    "CustomAttributes": "X-Amzn-SageMaker-Custom-Attributes",
    "TargetModel": "X-Amzn-SageMaker-Target-Model",
    "InferenceId": "X-Amzn-SageMaker-Inference-Id",
    "SessionId": "X-Amzn-SageMaker-Session-Id",
    "PrefixAwareId": "X-Amzn-SageMaker-Prefix-Aware-Id",
}
_ANSWER_HEADERS = {
    "ContentType": "content-type",
    "CustomAttributes": "x-amzn-sagemaker-custom-attributes",
    "NewSessionId": "x-amzn-sagemaker-new-session-id",
    "ClosedSessionId": "x-amzn-sagemaker-closed-session-id",
}


def invoke_endpoint(plane: Plane, call: Call, params: Params) -> Result:
    """Relay one request to the model behind an endpoint, bytes untouched."""
    arn, invocation = _asked(plane, call, params)
    with _refusals(call, params["EndpointName"], invocation):
        given = plane.hosting.invoke(arn, invocation)
    _capture(plane, arn, invocation, given)
    return {
        "Body": given.answer.body,
        "InvokedProductionVariant": given.variant_name,
        **_answer_members(given.answer.headers),
    }


def invoke_endpoint_with_response_stream(plane: Plane, call: Call, params: Params) -> Result:
    """Relay one request; the answer's parts go out as the container gives them."""
    arn, invocation = _asked(plane, call, params)
    with _refusals(call, params["EndpointName"], invocation):
        stream = plane.hosting.stream(arn, invocation)
    return {
        "Body": _Events(stream, call),
        "InvokedProductionVariant": stream.variant_name,
        **_answer_members(stream.headers),
    }


class _Events:
    """A model's stream as events of the API, the last of which says how it broke off if it did."""

    def __init__(self, stream: ModelStream, call: Call) -> None:
        self._stream = stream
        self._request_id = call.request_id
        self.close = stream.close

    def __iter__(self) -> Iterator[Event]:
        try:
            for part in self._stream:
                yield {"PayloadPart": {"Bytes": part}}
        except StreamFault as fault:
            log.warning("a stream broke off: %s %s", fault, self._request_id)
            yield {"ModelStreamError": {"Message": fault.message, "ErrorCode": fault.code}}
        except Exception:
            log.exception("a stream failed %s", self._request_id)
            text = f"sagelocal failed; its log has the reason under request id {self._request_id}"
            yield {"InternalStreamFailure": {"Message": text}}


def _asked(plane: Plane, call: Call, params: Params) -> tuple[str, Invocation]:
    """The endpoint's ARN, and what is asked of its model. Raises Fault."""
    name: str = params["EndpointName"]
    body: bytes = params.get("Body", b"")
    _check_length(body, call.headers.get("content-length"), plane.settings.max_invocation_bytes)
    _check_target(name, params)
    arn = call.scope.sagemaker_arn("endpoint", name)
    _check_synchronous(plane, name, arn)
    headers = {
        header: params[member] for member, header in _REQUEST_HEADERS.items() if member in params
    }
    invocation = Invocation(
        body=body,
        content_type=params.get("ContentType"),
        accept=params.get("Accept"),
        headers=headers,
        target_variant=params.get("TargetVariant"),
        target_hostname=params.get("TargetContainerHostname"),
        target_model=params.get("TargetModel"),
    )
    return arn, invocation


def _capture(plane: Plane, arn: str, invocation: Invocation, given: ModelAnswer) -> None:
    """Keep the call, if the endpoint captures data and chance will have it."""
    deployment = plane.hosting.serving(arn)
    capture = DataCapture.of(deployment.data_capture) if deployment else None
    if capture is None or not capture.wants():
        return
    try:
        endpoint = plane.hosting.records.get(arn)
    except NoSuchEndpoint:  # deleted while it answered
        return
    headers = given.answer.headers
    plane.captures.keep(
        capture,
        endpoint,
        given.variant_name,
        Side(invocation.body, invocation.content_type),
        Side(given.answer.body, headers.get("content-type")),
        inference_id=invocation.headers.get(_REQUEST_HEADERS["InferenceId"]),
        custom_attributes=invocation.headers.get(_REQUEST_HEADERS["CustomAttributes"]),
    )


def _answer_members(headers: Mapping[str, str]) -> Result:
    """What of a container's headers goes out as members of the answer."""
    return {
        member: headers[header] for member, header in _ANSWER_HEADERS.items() if header in headers
    }


@contextmanager
def _refusals(call: Call, name: str, invocation: Invocation) -> Iterator[None]:
    """What the engine raises, as faults."""
    try:
        yield
    except NotServing as error:
        raise _refused(f"Endpoint {name} of account {call.scope.account} not found.") from error
    except NoSuchVariant as error:
        raise _refused(
            f"Variant {error} of endpoint {name} of account {call.scope.account} not found."
        ) from error
    except NoSuchContainer as error:
        raise _refused(
            f"Endpoint {name} has no container {invocation.target_hostname} to be called by its "
            f"host name: {error}."
        ) from error
    except MissingTargetModel as error:
        raise _refused(f"Request {call.request_id} is missing a target model header.") from error
    except NotMultiModel as error:
        raise _refused(
            f"Endpoint {name} is not a multi-model endpoint and does not support target model "
            "header."
        ) from error
    except TargetModelFault as error:
        raise _refused(str(error)) from error
    except NotReady as error:
        raise Fault(
            "ModelNotReadyException",
            f"Model {error} is not ready for inference yet: it is still being downloaded or "
            "loaded. Wait and try your request again.",
            status=429,
        ) from error
    except ModelFault as fault:
        raise _model_error(call, name, fault) from fault


def _check_length(body: bytes, declared: str | None, most_bytes: int) -> None:
    """Raises Fault in the words of sagemaker-python-sdk#171 for much, of the API for little.

    `body` has been cut after one byte too many.
    """
    if int(declared or 0) > most_bytes + _SLACK_BYTES:
        text = f"HTTP content length exceeded {most_bytes + _SLACK_BYTES} bytes."
        raise Fault("413", text, status=413)
    if len(body) > most_bytes:
        raise _refused(
            "1 validation error detected: Value at 'body' failed to satisfy constraint: Member "
            f"must have length less than or equal to {most_bytes}"
        )


def _check_target(name: str, params: Mapping[str, Any]) -> None:
    if params.get("InferenceComponentName"):
        raise _refused(
            f"Endpoint {name} has no inference components; call it without InferenceComponentName."
        )


def _check_synchronous(plane: Plane, name: str, arn: str) -> None:
    deployment = plane.hosting.serving(arn)
    if deployment and deployment.asynchronous:
        raise _refused(
            f"Endpoint {name} is an asynchronous endpoint and does not support InvokeEndpoint. "
            "Call it by InvokeEndpointAsync."
        )


def _refused(message: str) -> Fault:
    return Fault("ValidationError", message)


def _model_error(call: Call, name: str, fault: ModelFault) -> Fault:
    region, account = call.scope.region, call.scope.account
    return Fault(
        "ModelError",
        model_error(fault.label, fault.status, fault.message, name, region, account),
        status=424,
        members={
            "OriginalStatusCode": fault.status,
            "OriginalMessage": fault.message,
            "LogStreamArn": call.scope.arn("logs", f"log-group:{log_group(name)}"),
        },
    )


OPERATIONS: OperationTable = {
    ("sagemaker-runtime", "InvokeEndpoint"): invoke_endpoint,
    (
        "sagemaker-runtime",
        "InvokeEndpointWithResponseStream",
    ): invoke_endpoint_with_response_stream,
}

"""sagemaker-runtime: InvokeEndpoint.

Refusals in the service's words: the botocore sagemaker-runtime model names the errors; what they
say is as clients have reported it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sagelocal.domain.deployments import log_group
from sagelocal.engine.deployments import NoSuchVariant
from sagelocal.engine.hosting import NotServing
from sagelocal.engine.invocation import Invocation, ModelFault, NoSuchContainer
from sagelocal.protocol.faults import Fault
from sagelocal.services.calls import Call, OperationTable, Params, Result

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

FIRST_SERVER_ERROR = 500
_CLIENT_ERRORS = range(400, FIRST_SERVER_ERROR)

# Members of the request that a container gets as headers, and of the answer that it may set so.
_REQUEST_HEADERS = {
    "CustomAttributes": "X-Amzn-SageMaker-Custom-Attributes",
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
    name: str = params["EndpointName"]
    body: bytes = params.get("Body", b"")
    _check(name, body, params, plane.settings.max_invocation_bytes)
    invocation = Invocation(
        body=body,
        content_type=params.get("ContentType"),
        accept=params.get("Accept"),
        headers={
            header: params[member]
            for member, header in _REQUEST_HEADERS.items()
            if member in params
        },
        target_variant=params.get("TargetVariant"),
        target_hostname=params.get("TargetContainerHostname"),
    )
    try:
        given = plane.hosting.invoke(call.scope.sagemaker_arn("endpoint", name), invocation)
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
    except ModelFault as fault:
        raise _model_error(call, name, fault) from fault
    found = given.answer.headers
    return {
        "Body": given.answer.body,
        "InvokedProductionVariant": given.variant_name,
        **{member: found[header] for member, header in _ANSWER_HEADERS.items() if header in found},
    }


def _check(name: str, body: bytes, params: Mapping[str, Any], longest_bytes: int) -> None:
    if len(body) > longest_bytes:
        raise _refused(
            "1 validation error detected: Value at 'body' failed to satisfy constraint: Member "
            f"must have length less than or equal to {longest_bytes}"
        )
    if params.get("TargetModel"):
        raise _refused(
            f"Endpoint {name} is not a multi-model endpoint and does not support target model "
            "header."
        )
    if params.get("InferenceComponentName"):
        raise _refused(
            f"Endpoint {name} has no inference components; call it without InferenceComponentName."
        )


def _refused(message: str) -> Fault:
    return Fault("ValidationError", message)


def _model_error(call: Call, name: str, fault: ModelFault) -> Fault:
    whose = "client" if fault.status in _CLIENT_ERRORS else "server"
    region, account, group = call.scope.region, call.scope.account, log_group(name)
    return Fault(
        "ModelError",
        f"Received {whose} error ({fault.status}) from {fault.label} with message "
        f'"{fault.message}". See https://{region}.console.aws.amazon.com/cloudwatch/home?'
        f"region={region}#logEventViewer:group={group} in account {account} for more information.",
        status=424,
        members={
            "OriginalStatusCode": fault.status,
            "OriginalMessage": fault.message,
            "LogStreamArn": call.scope.arn("logs", f"log-group:{group}"),
        },
    )


OPERATIONS: OperationTable = {
    ("sagemaker-runtime", "InvokeEndpoint"): invoke_endpoint,
}

"""Endpoints: create, describe, list, update, delete (SageMaker API reference)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sagelocal.domain.deployments import Deployment, Variant
from sagelocal.domain.endpoint_configs import NotRunHere, deployment, model_names, retain
from sagelocal.domain.endpoints import KIND, Endpoint, EndpointStatus, ForbiddenTransition
from sagelocal.domain.models import InvalidModel
from sagelocal.engine.endpoint_records import NoSuchEndpoint
from sagelocal.protocol.faults import Fault, validation
from sagelocal.services.calls import Call, OperationTable, Params, Result
from sagelocal.services.endpoint_configs import require_config
from sagelocal.services.models import require_model
from sagelocal.services.paging import page_of, query_of
from sagelocal.services.tags import tags_from
from sagelocal.store.resources import AlreadyExists

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane


def create_endpoint(plane: Plane, call: Call, params: Params) -> Result:
    """Record the endpoint, and let the engine bring it into service."""
    name: str = params["EndpointName"]
    arn = call.scope.sagemaker_arn(KIND, name)
    tags = tags_from(params)
    if plane.resources.get(arn) is not None:
        raise _name_taken(arn)
    now = time.time()
    pending = _resolve(plane, call, params["EndpointConfigName"], now)
    endpoint = Endpoint(
        arn=arn,
        region=call.scope.region,
        name=name,
        status=EndpointStatus.CREATING,
        created_at=now,
        modified_at=now,
        config_name=pending.config_name,
        pending=pending,
        deployment_config=params.get("DeploymentConfig"),
    )
    try:
        plane.hosting.records.add(endpoint, tags)
    except AlreadyExists as error:
        raise _name_taken(arn) from error
    plane.hosting.submit(arn)
    return {"EndpointArn": arn}


def describe_endpoint(plane: Plane, call: Call, params: Params) -> Result:
    """Everything that is known of an endpoint, in AWS's shape."""
    arn = call.scope.sagemaker_arn(KIND, params["EndpointName"])
    try:
        return _description(plane.hosting.records.get(arn))
    except NoSuchEndpoint as error:
        raise _no_such_endpoint(arn) from error


def list_endpoints(plane: Plane, call: Call, params: Params) -> Result:
    """A page of endpoints, newest first unless asked otherwise."""
    query = query_of(KIND, call.scope.region, params)
    endpoints, more = page_of(query, plane.resources.list(query))
    return {
        "Endpoints": [
            {
                "EndpointName": endpoint.name,
                "EndpointArn": endpoint.arn,
                "CreationTime": endpoint.created_at,
                "LastModifiedTime": endpoint.modified_at,
                "EndpointStatus": endpoint.status,
            }
            for endpoint in endpoints
        ],
        **more,
    }


def update_endpoint(plane: Plane, call: Call, params: Params) -> Result:
    """Deploy another configuration beside the one that serves, and switch once it is healthy."""
    now = time.time()
    fresh = _resolve(plane, call, params["EndpointConfigName"], now)
    excluded = [
        each["VariantPropertyType"] for each in params.get("ExcludeRetainedVariantProperties", ())
    ]

    def update(endpoint: Endpoint) -> Endpoint:
        pending = fresh
        if params.get("RetainAllVariantProperties") and endpoint.active:
            pending = retain(fresh, endpoint.active, excluded)
        return endpoint.updating(pending, now, params.get("DeploymentConfig"))

    return _change(plane, call, params, update)


def update_endpoint_weights_and_capacities(plane: Plane, call: Call, params: Params) -> Result:
    """Change how traffic is split, and how many instances there are, without a new deployment."""
    wanted: Mapping[str, Mapping[str, Any]] = {
        each["VariantName"]: each for each in params["DesiredWeightsAndCapacities"]
    }

    def rescale(endpoint: Endpoint) -> Endpoint:
        active = endpoint.active
        if active is None:
            raise ForbiddenTransition("nothing is deployed")
        for name, change in wanted.items():
            _check_rescale(endpoint, active, name, change)
        variants = tuple(
            variant.scaled(
                wanted.get(variant.name, {}).get("DesiredWeight"),
                wanted.get(variant.name, {}).get("DesiredInstanceCount"),
            )
            for variant in active.variants
        )
        return endpoint.updating(replace(active, variants=variants), time.time())

    return _change(plane, call, params, rescale)


def delete_endpoint(plane: Plane, call: Call, params: Params) -> Result:
    """Stop sending requests at once; the engine stops the containers and forgets the endpoint."""
    arn = call.scope.sagemaker_arn(KIND, params["EndpointName"])
    _change(plane, call, params, lambda endpoint: endpoint.deleting(time.time()), submit=False)
    plane.hosting.withdraw(arn)
    plane.hosting.submit(arn)
    return {}


def _change(
    plane: Plane,
    call: Call,
    params: Params,
    change: Callable[[Endpoint], Endpoint],
    *,
    submit: bool = True,
) -> Result:
    arn = call.scope.sagemaker_arn(KIND, params["EndpointName"])
    try:
        plane.hosting.records.change(arn, change)
    except NoSuchEndpoint as error:
        raise _no_such_endpoint(arn) from error
    except ForbiddenTransition as error:
        raise _refusal(plane, arn) from error
    if submit:
        plane.hosting.submit(arn)
    return {"EndpointArn": arn}


def _refusal(plane: Plane, arn: str) -> Fault:
    """Why an endpoint in its status cannot be updated or deleted."""
    try:
        status = plane.hosting.records.get(arn).status
    except NoSuchEndpoint:
        return _no_such_endpoint(arn)
    if status is EndpointStatus.FAILED:
        return validation(
            f'Cannot update endpoint "{arn}" in status Failed. Delete it and create it again.'
        )
    return validation(f'Cannot update in-progress endpoint "{arn}".')


def _check_rescale(
    endpoint: Endpoint, active: Deployment, name: str, change: Mapping[str, Any]
) -> None:
    variant = active.variant(name)
    if variant is None:
        raise validation(
            f'The variant name(s) "{name}" is/are not present within endpoint configuration '
            f'"{endpoint.config_name}".'
        )
    if change.get("DesiredInstanceCount") == 0:
        raise validation(f"DesiredInstanceCount of variant {name} must be at least 1")
    if variant.serverless and "DesiredInstanceCount" in change:
        raise validation(f"Variant {name} is serverless and has no DesiredInstanceCount")


def _resolve(plane: Plane, call: Call, config_name: str, now: float) -> Deployment:
    config = require_config(plane, call, config_name)
    models = {
        name: require_model(plane, call, name).document for name in model_names(config.document)
    }
    try:
        return deployment(config.name, config.document, models, now)
    except (NotRunHere, InvalidModel) as error:
        raise validation(str(error)) from error


def _description(endpoint: Endpoint) -> dict[str, Any]:
    active, pending = endpoint.active, endpoint.pending
    optional = {
        "FailureReason": endpoint.failure_reason,
        "LastDeploymentConfig": endpoint.deployment_config,
    }
    described: dict[str, Any] = {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointConfigName": endpoint.config_name,
        "EndpointStatus": str(endpoint.status),
        "CreationTime": endpoint.created_at,
        "LastModifiedTime": endpoint.modified_at,
        **{key: value for key, value in optional.items() if value},
    }
    if active and active.asynchronous:
        described["AsyncInferenceConfig"] = active.asynchronous
    if active and active.data_capture:
        described["DataCaptureConfig"] = _data_capture(active.data_capture)
    if active:
        described["ProductionVariants"] = [
            _variant(variant, _wanted(variant, pending), active) for variant in active.variants
        ]
        if pending:
            described["PendingDeploymentSummary"] = _pending(pending)
    return described


def _data_capture(config: Mapping[str, Any]) -> dict[str, Any]:
    is_on = config.get("EnableCapture", True)
    return {
        "EnableCapture": is_on,
        "CaptureStatus": "Started" if is_on else "Stopped",
        "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
        "DestinationS3Uri": config["DestinationS3Uri"],
        "KmsKeyId": config.get("KmsKeyId", ""),
    }


def _wanted(variant: Variant, pending: Deployment | None) -> Variant:
    """The variant as it is to become: another weight or count while it is rescaled."""
    return (pending.variant(variant.name) if pending else None) or variant


def _variant(current: Variant, desired: Variant, deployed: Deployment) -> dict[str, Any]:
    return {
        "VariantName": current.name,
        "DeployedImages": _images(current, deployed),
        "CurrentWeight": current.weight,
        "DesiredWeight": desired.weight,
        **_capacity("Current", current),
        **_capacity("Desired", desired),
        **current.described,
    }


def _pending(pending: Deployment) -> dict[str, Any]:
    return {
        "EndpointConfigName": pending.config_name,
        "StartTime": pending.created_at,
        "ProductionVariants": [
            {
                "VariantName": variant.name,
                "DeployedImages": _images(variant, pending),
                "DesiredWeight": variant.weight,
                **_capacity("Desired", variant),
                **({"InstanceType": variant.instance_type} if variant.instance_type else {}),
            }
            for variant in pending.variants
        ],
    }


def _capacity(which: str, variant: Variant) -> dict[str, Any]:
    if variant.serverless:
        return {f"{which}ServerlessConfig": variant.serverless}
    return {f"{which}InstanceCount": variant.count}


def _images(variant: Variant, deployed: Deployment) -> list[dict[str, Any]]:
    return [
        {
            "SpecifiedImage": container.image,
            "ResolvedImage": container.image,
            "ResolutionTime": deployed.created_at,
        }
        for container in variant.containers
    ]


def _name_taken(arn: str) -> Fault:
    return validation(f'Cannot create already existing endpoint "{arn}".')


def _no_such_endpoint(arn: str) -> Fault:
    return validation(f'Could not find endpoint "{arn}".')


OPERATIONS: OperationTable = {
    ("sagemaker", "CreateEndpoint"): create_endpoint,
    ("sagemaker", "DescribeEndpoint"): describe_endpoint,
    ("sagemaker", "ListEndpoints"): list_endpoints,
    ("sagemaker", "UpdateEndpoint"): update_endpoint,
    (
        "sagemaker",
        "UpdateEndpointWeightsAndCapacities",
    ): update_endpoint_weights_and_capacities,
    ("sagemaker", "DeleteEndpoint"): delete_endpoint,
}

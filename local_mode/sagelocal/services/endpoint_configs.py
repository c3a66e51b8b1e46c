"""Endpoint configurations: create, describe, list, delete (SageMaker API reference)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sagelocal.domain.endpoint_configs import (
    DEFAULT_WEIGHT,
    InvalidEndpointConfig,
    check,
    model_names,
)
from sagelocal.protocol.faults import Fault, validation
from sagelocal.services.calls import Call, OperationTable, Params, Result
from sagelocal.services.models import require_model
from sagelocal.services.paging import page_of, query_of
from sagelocal.services.tags import tags_from
from sagelocal.store.resources import AlreadyExists, Resource

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

KIND = "endpoint-config"


def create_endpoint_config(plane: Plane, call: Call, params: Params) -> Result:
    """Keep a configuration of models that are there."""
    name: str = params["EndpointConfigName"]
    arn = call.scope.sagemaker_arn(KIND, name)
    try:
        check(params)
    except InvalidEndpointConfig as error:
        raise validation(str(error)) from error
    for model_name in model_names(params):
        require_model(plane, call, model_name)
    request = {key: value for key, value in params.items() if key != "Tags"}
    now = time.time()
    config = Resource(arn, KIND, call.scope.region, name, None, now, now, request)
    try:
        plane.resources.add(config, tags_from(params))
    except AlreadyExists as error:
        raise validation(
            f'Cannot create already existing endpoint configuration "{arn}".'
        ) from error
    return {"EndpointConfigArn": arn}


def describe_endpoint_config(plane: Plane, call: Call, params: Params) -> Result:
    """The configuration as it was created."""
    config = require_config(plane, call, params["EndpointConfigName"])
    described: dict[str, Any] = {
        "EnableNetworkIsolation": False,
        **{key: value for key, value in config.document.items() if value},
        "EndpointConfigName": config.name,
        "EndpointConfigArn": config.arn,
        "CreationTime": config.created_at,
    }
    for member in ("ProductionVariants", "ShadowProductionVariants"):
        if member in described:
            described[member] = [
                {"InitialVariantWeight": DEFAULT_WEIGHT, **variant} for variant in described[member]
            ]
    return described


def list_endpoint_configs(plane: Plane, call: Call, params: Params) -> Result:
    """A page of configurations, newest first unless asked otherwise."""
    query = query_of(KIND, call.scope.region, params)
    configs, more = page_of(query, plane.resources.list(query))
    return {
        "EndpointConfigs": [
            {
                "EndpointConfigName": config.name,
                "EndpointConfigArn": config.arn,
                "CreationTime": config.created_at,
            }
            for config in configs
        ],
        **more,
    }


def delete_endpoint_config(plane: Plane, call: Call, params: Params) -> Result:
    """Forget a configuration; endpoints that were made of it go on serving."""
    arn = call.scope.sagemaker_arn(KIND, params["EndpointConfigName"])
    if not plane.resources.delete(arn):
        raise _no_such_config(arn)
    return {}


def require_config(plane: Plane, call: Call, name: str) -> Resource:
    """The configuration's row. Raises Fault."""
    arn = call.scope.sagemaker_arn(KIND, name)
    config = plane.resources.get(arn)
    if config is None:
        raise _no_such_config(arn)
    return config


def _no_such_config(arn: str) -> Fault:
    return validation(f'Could not find endpoint configuration "{arn}".')


OPERATIONS: OperationTable = {
    ("sagemaker", "CreateEndpointConfig"): create_endpoint_config,
    ("sagemaker", "DescribeEndpointConfig"): describe_endpoint_config,
    ("sagemaker", "ListEndpointConfigs"): list_endpoint_configs,
    ("sagemaker", "DeleteEndpointConfig"): delete_endpoint_config,
}

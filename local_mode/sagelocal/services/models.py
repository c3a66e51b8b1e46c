"""Models: create, describe, list, delete (SageMaker API reference)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sagelocal.domain.models import MULTI_MODEL_LABEL, Container, InvalidModel, containers
from sagelocal.engine.model_data import exists, takes_models
from sagelocal.protocol.faults import Fault, validation
from sagelocal.runtime.interface import RuntimeFault
from sagelocal.services.calls import Call, OperationTable, Params, Result
from sagelocal.services.paging import page_of, query_of
from sagelocal.services.tags import tags_from
from sagelocal.store.resources import AlreadyExists, Resource

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

KIND = "model"


def create_model(plane: Plane, call: Call, params: Params) -> Result:
    """Keep a model whose containers can be understood and whose data is there."""
    name: str = params["ModelName"]
    arn = call.scope.sagemaker_arn(KIND, name)
    try:
        for container in containers(params):
            _check_labels(plane, container)
            missing = [data for data in container.files if not exists(plane.objects, data)]
            if container.models and not takes_models(plane.objects, container.models):
                missing.insert(0, container.models)
            if missing:
                raise validation(f"Could not find model data at {missing[0].url}.")
    except InvalidModel as error:
        raise validation(str(error)) from error
    request = {key: value for key, value in params.items() if key != "Tags"}
    now = time.time()
    model = Resource(arn, KIND, call.scope.region, name, None, now, now, request)
    try:
        plane.resources.add(model, tags_from(params))
    except AlreadyExists as error:
        raise validation(f'Cannot create already existing model "{arn}".') from error
    return {"ModelArn": arn}


def describe_model(plane: Plane, call: Call, params: Params) -> Result:
    """The model as it was created."""
    model = require_model(plane, call, params["ModelName"])
    described: dict[str, Any] = {
        "EnableNetworkIsolation": False,
        **{key: value for key, value in model.document.items() if value},
        "ModelName": model.name,
        "ModelArn": model.arn,
        "CreationTime": model.created_at,
    }
    if "PrimaryContainer" in described:
        described["PrimaryContainer"] = _container(described["PrimaryContainer"])
    if "Containers" in described:
        described["Containers"] = [_container(each) for each in described["Containers"]]
    return described


def list_models(plane: Plane, call: Call, params: Params) -> Result:
    """A page of models, newest first unless asked otherwise."""
    query = query_of(KIND, call.scope.region, params)
    models, more = page_of(query, plane.resources.list(query))
    return {
        "Models": [
            {"ModelName": m.name, "ModelArn": m.arn, "CreationTime": m.created_at} for m in models
        ],
        **more,
    }


def delete_model(plane: Plane, call: Call, params: Params) -> Result:
    """Forget a model; endpoints that were made of it go on serving."""
    arn = call.scope.sagemaker_arn(KIND, params["ModelName"])
    if not plane.resources.delete(arn):
        raise _no_such_model(arn)
    return {}


def require_model(plane: Plane, call: Call, name: str) -> Resource:
    """The model's row. Raises Fault."""
    arn = call.scope.sagemaker_arn(KIND, name)
    model = plane.resources.get(arn)
    if model is None:
        raise _no_such_model(arn)
    return model


def _check_labels(plane: Plane, container: Container) -> None:
    """Raises Fault, in the cloud's words, for an image that does not say it has many models.

    Of an image that is not known yet nobody can say; its endpoint tells.
    """
    if not container.multi_model:
        return
    try:
        labels = plane.runtime.labels(container.image)
    except RuntimeFault as error:
        raise validation(str(error)) from error
    if labels is not None and labels.get(MULTI_MODEL_LABEL) != "true":
        raise validation(
            f"Your Ecr Image {container.image} does not contain required "
            f"{MULTI_MODEL_LABEL}=true Docker label(s)."
        )


def _container(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    given = {key: value for key, value in definition.items() if value}
    return {"Mode": "SingleModel", **given}


def _no_such_model(arn: str) -> Fault:
    return validation(f'Could not find model "{arn}".')


OPERATIONS: OperationTable = {
    ("sagemaker", "CreateModel"): create_model,
    ("sagemaker", "DescribeModel"): describe_model,
    ("sagemaker", "ListModels"): list_models,
    ("sagemaker", "DeleteModel"): delete_model,
}

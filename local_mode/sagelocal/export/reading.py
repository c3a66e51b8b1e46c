"""A variant of an endpoint, as the AWS API describes it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sagelocal.account import Account, CloudError, NotThere
from sagelocal.domain.instances import instance
from sagelocal.domain.models import (
    MODELS_FOLDER,
    Container,
    InvalidModel,
    ModelData,
    is_direct,
)
from sagelocal.domain.models import containers as containers_of
from sagelocal.domain.names import S3Uri
from sagelocal.export.description import (
    MIB,
    PORT,
    ROLE_TO_FILL_IN,
    STARTUP_SECONDS,
    ExportError,
    Files,
    Machine,
    Service,
    Stage,
    architecture,
)
from sagelocal.export.images import Image, image_of
from sagelocal.export.targets import Target
from sagelocal.runtime.images import ImageCatalog

_MIB_PER_SERVERLESS_VCPU = 1024
_NOT_OF_CONFIG = (
    "DataCaptureConfig",
    "AsyncInferenceConfig",
    "ExplainerConfig",
    "ShadowProductionVariants",
    "KmsKeyId",
    "VpcConfig",
    "EnableNetworkIsolation",
)
_NOT_OF_VARIANT = ("AcceleratorType", "CoreDumpConfig", "InstancePools", "RoutingConfig")


@dataclass(frozen=True)
class Wanted:
    """What the user says besides the endpoint. `model_s3` ends with a slash.

    `images` are the names where it is to run, of each container of a pipeline in their order.
    """

    target: Target
    variant: str | None = None
    images: tuple[str, ...] = ()
    model_s3: str | None = None
    role: str | None = None


def read_service(
    account: Account, endpoint: str, wanted: Wanted, catalog: ImageCatalog | None
) -> Service:
    """Raises ExportError, CloudError."""
    described = _endpoint(account, endpoint)
    config = account.call(
        "sagemaker", "describe_endpoint_config", EndpointConfigName=described["EndpointConfigName"]
    )
    variant = _variant(endpoint, config["ProductionVariants"], wanted.variant)
    if not variant.get("ModelName"):
        raise ExportError(
            f"the variant {variant['VariantName']} has no model of its own (its inference "
            "components have); make an endpoint with the model, and export that"
        )
    model = account.call("sagemaker", "describe_model", ModelName=variant["ModelName"])
    containers = _containers(model, variant["VariantName"])
    names = _image_names(containers, wanted.images)
    here = account.identity.account if account.is_here else None
    images = [
        image_of(container.image, wanted.target, name, catalog=catalog, account=here)
        for container, name in zip(containers, names, strict=True)
    ]
    machine = machine_of(variant)
    replicas = _replicas(described, variant)
    return Service(
        endpoint=endpoint,
        variant=variant["VariantName"],
        region=account.region,
        machine=machine,
        stages=tuple(_stages(containers, images, wanted.model_s3)),
        replicas=replicas,
        most_replicas=_most_replicas(variant, replicas),
        startup_seconds=variant.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_SECONDS),
        role=wanted.role or (ROLE_TO_FILL_IN if account.is_here else model["ExecutionRoleArn"]),
        not_exported=tuple(_not_exported(config, model, variant)),
    )


def machine_of(variant: Mapping[str, Any]) -> Machine:
    """What a container of a production variant may use."""
    serverless = variant.get("ServerlessConfig")
    if serverless:
        memory = serverless["MemorySizeInMB"]
        return Machine(
            memory / _MIB_PER_SERVERLESS_VCPU,
            memory * MIB,
            serverless_concurrency=serverless["MaxConcurrency"],
        )
    pools = variant.get("InstancePools") or [{}]
    instance_type = variant.get("InstanceType") or pools[0].get("InstanceType", "")
    found = instance(instance_type)
    return Machine(found.vcpus, found.memory_bytes, found.gpus, architecture(instance_type))


def _endpoint(account: Account, name: str) -> dict[str, Any]:
    try:
        return account.call("sagemaker", "describe_endpoint", EndpointName=name)
    except NotThere as error:
        where = "this machine's plane" if account.is_here else "AWS"
        raise ExportError(
            f"there is no endpoint {name!r} on {where} in {account.region}; "
            + _others(_names(account), name)
        ) from error


def _names(account: Account) -> list[str]:
    try:
        found = account.call("sagemaker", "list_endpoints", MaxResults=100)
    except CloudError:
        return []
    return [each["EndpointName"] for each in found["Endpoints"]]


def _others(names: list[str], wanted: str) -> str:
    if not names:
        return "make one, or say with --region where it is"
    near = difflib.get_close_matches(wanted, names, n=3)
    return f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(names[:10])}"


def _variant(
    endpoint: str, variants: list[dict[str, Any]], wanted: str | None
) -> Mapping[str, Any]:
    by_name = {each["VariantName"]: each for each in variants}
    names = ", ".join(by_name)
    if wanted is None:
        if len(variants) > 1:
            raise ExportError(
                f"the endpoint {endpoint} has {len(variants)} variants ({names}), and one is "
                "exported at a time; choose it with --variant"
            )
        return variants[0]
    if wanted not in by_name:
        raise ExportError(f"the endpoint {endpoint} has no variant {wanted!r}; it has: {names}")
    return by_name[wanted]


def _containers(model: Mapping[str, Any], variant: str) -> tuple[Container, ...]:
    try:
        found = containers_of(model)
    except InvalidModel as error:
        raise ExportError(f"the model {model['ModelName']} cannot be exported: {error}") from error
    if is_direct(model):
        raise ExportError(
            f"the variant {variant} has {len(found)} containers of which each call names one (Mode "
            "Direct), and outside of SageMaker nothing tells them apart. Make an endpoint of each "
            "container, and export these"
        )
    if len(found) > 1 and any(each.multi_model for each in found):
        raise ExportError(
            f"the variant {variant} is a pipeline in which a container has many models (Mode "
            "MultiModel), and here either a pipeline or many models can be exported. Make an "
            "endpoint of that container alone, or give it one model"
        )
    return found


def _image_names(
    containers: Sequence[Container], given: Sequence[str]
) -> Sequence[str] | Sequence[None]:
    """What the user calls the image of each container."""
    if not given:
        return [None] * len(containers)
    if len(given) != len(containers):
        images = ", ".join(each.image for each in containers)
        raise ExportError(
            f"--image is given {len(given)} times, and there are {len(containers)} containers "
            f"({images}): give it once for each, in their order"
        )
    return given


def _stages(
    containers: Sequence[Container], images: Sequence[Image], model_s3: str | None
) -> Iterator[Stage]:
    """The ports of a pipeline's containers follow that of what stands before them."""
    for position, (container, image) in enumerate(zip(containers, images, strict=True), start=1):
        name = f"container-{position}" if len(containers) > 1 else ""
        yield Stage(
            image.name,
            image.base,
            files=tuple(_files(data, model_s3, name) for data in _data(container)),
            environment=container.environment,
            name="container" if container.multi_model else name,
            port=PORT + position if name else PORT,
            keeps_models=container.keep_models,
        )


def _data(container: Container) -> Iterator[ModelData]:
    """That of many models lies where the container finds all of them."""
    if container.models is not None:
        yield replace(container.models, target=MODELS_FOLDER)
    yield from container.files


def _files(data: ModelData, model_s3: str | None, stage: str) -> Files:
    """Where they are found; below `model_s3` as they are called in an export."""
    location = data.location
    folder = Files(data, "", "", stage).folder
    here = {
        "archive": f"{folder}.tar.gz",
        "object": f"{folder}/{location.key.rpartition('/')[2]}",
        "prefix": folder,
    }[data.layout]
    if data.layout == "prefix":
        url = f"{model_s3}{here}/" if model_s3 else str(S3Uri(location.bucket, data.prefix))
    else:
        url = f"{model_s3}{here}" if model_s3 else str(location)
    return Files(data, url, here, stage)


def _replicas(endpoint: Mapping[str, Any], variant: Mapping[str, Any]) -> int:
    """What was asked for last: of the endpoint, else of its configuration."""
    for now in endpoint.get("ProductionVariants", ()):
        if now["VariantName"] == variant["VariantName"] and now.get("DesiredInstanceCount"):
            return int(now["DesiredInstanceCount"])
    return int(variant.get("InitialInstanceCount", 1))


def _most_replicas(variant: Mapping[str, Any], replicas: int) -> int:
    """As the variant says; twice as many as there are where it does not."""
    managed = variant.get("ManagedInstanceScaling", {}).get("MaxInstanceCount")
    concurrency = variant.get("ServerlessConfig", {}).get("MaxConcurrency")
    return int(max(managed or concurrency or 2 * replicas, replicas))


def _not_exported(
    config: Mapping[str, Any], model: Mapping[str, Any], variant: Mapping[str, Any]
) -> Iterator[str]:
    for member in _NOT_OF_CONFIG:
        if config.get(member) or model.get(member):
            yield member
    yield from (member for member in _NOT_OF_VARIANT if variant.get(member))
    for each in config["ProductionVariants"]:
        if each["VariantName"] != variant["VariantName"]:
            yield f"variant {each['VariantName']}"

"""Endpoint configurations: what can be accepted, what can be run here, and what becomes of it.

A configuration is kept as the CreateEndpointConfig request that made it. Some of what the service
accepts cannot be run on one machine yet; that is kept and described, and refused, with its name,
when an endpoint is to be made of it.

Source: the botocore shapes CreateEndpointConfigInput and ProductionVariant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sagelocal.domain.async_inference import AsyncInference
from sagelocal.domain.data_capture import DataCapture
from sagelocal.domain.deployments import (
    Deployment,
    Instance,
    Variant,
    copies_for,
    new_deployment_id,
)
from sagelocal.domain.models import Container, containers, is_direct

Document = Mapping[str, Any]

DEFAULT_WEIGHT = 1.0
# "The value must be between 1024 MB and 6144 MB, in 1 GB increments" (developer guide, "Serverless
# endpoint operations").
SERVERLESS_MEGABYTES = (1024, 2048, 3072, 4096, 5120, 6144)
_SHOWN = ("ManagedInstanceScaling", "RoutingConfig")


class InvalidEndpointConfig(ValueError):
    """A configuration that cannot be accepted; the text says which part and why."""


class NotRunHere(ValueError):
    """A configuration that is right, but asks for what is not run here; the text says what."""


def check(config: Document) -> None:
    """Raises InvalidEndpointConfig for what the shapes of the request cannot say."""
    variants = config["ProductionVariants"]
    for number, variant in enumerate(variants, start=1):
        _check_memory(number, variant.get("ServerlessConfig", {}).get("MemorySizeInMB"))
    names = [variant["VariantName"] for variant in variants]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise InvalidEndpointConfig(
            f"VariantName must be unique in an endpoint configuration, {min(repeated)!r} is not"
        )
    for variant in variants:
        _check_capacity(variant)


def model_names(config: Document) -> Sequence[str]:
    """The models that the variants name, each once."""
    variants = [*config["ProductionVariants"], *config.get("ShadowProductionVariants", ())]
    return list(dict.fromkeys(v["ModelName"] for v in variants if v.get("ModelName")))


def deployment(
    config_name: str, config: Document, models: Mapping[str, Document], now: float
) -> Deployment:
    """What is to run for a configuration; `models` are the CreateModel requests by name.

    Raises NotRunHere, InvalidModel.
    """
    unsupported = list(_unsupported(config))
    if unsupported:
        raise NotRunHere(
            f'The endpoint configuration "{config_name}" asks for {", ".join(unsupported)}, which '
            "is not run here yet. Use a configuration without it."
        )
    variants = (_variant(each, models[each["ModelName"]]) for each in config["ProductionVariants"])
    return Deployment(
        new_deployment_id(),
        config_name,
        now,
        tuple(variants),
        asynchronous=config.get("AsyncInferenceConfig"),
        data_capture=config.get("DataCaptureConfig"),
    )


def retain(new: Deployment, old: Deployment, excluded: Sequence[str]) -> Deployment:
    """The new deployment with weights and counts of the old one's variants of the same names.

    `excluded` are VariantPropertyTypes that are not carried over.
    """
    variants = []
    for variant in new.variants:
        before = old.variant(variant.name)
        if before is not None:
            weight = None if "DesiredWeight" in excluded else before.weight
            count = None if "DesiredInstanceCount" in excluded else before.count
            variant = variant.scaled(weight, count)
        variants.append(variant)
    return replace(new, variants=tuple(variants))


def _check_memory(number: int, size: int | None) -> None:
    """The API's model has the least and the most only."""
    if size is not None and size not in SERVERLESS_MEGABYTES:
        raise InvalidEndpointConfig(
            f"1 validation error detected: Value '{size}' at 'productionVariants.{number}.member."
            "serverlessConfig.memorySizeInMB' failed to satisfy constraint: Member must satisfy "
            f"enum value set: [{', '.join(map(str, SERVERLESS_MEGABYTES))}]"
        )


def _check_capacity(variant: Document) -> None:
    name = variant["VariantName"]
    if variant.get("ServerlessConfig"):
        if variant.get("InstanceType") or variant.get("InitialInstanceCount"):
            raise InvalidEndpointConfig(
                f"Variant {name} has ServerlessConfig; InstanceType and InitialInstanceCount "
                "must not be given with it"
            )
        return
    if not variant.get("InstanceType") and not variant.get("InstancePools"):
        raise InvalidEndpointConfig(
            f"Variant {name} has neither InstanceType nor ServerlessConfig; give one of them"
        )
    if variant.get("ModelName") and variant.get("InitialInstanceCount", 0) < 1:
        raise InvalidEndpointConfig(f"Variant {name} needs an InitialInstanceCount of at least 1")


def _unsupported(config: Document) -> Iterator[str]:
    for member in ("ExplainerConfig", "ShadowProductionVariants"):
        if config.get(member):
            yield member
    try:
        DataCapture.of(config.get("DataCaptureConfig"))
        if config.get("AsyncInferenceConfig"):
            AsyncInference.of(config["AsyncInferenceConfig"])
    except ValueError as error:
        yield str(error)
    for variant in config["ProductionVariants"]:
        if not variant.get("ModelName"):
            yield f"variant {variant['VariantName']} without a ModelName (inference components)"
        if variant.get("InstancePools"):
            yield f"variant {variant['VariantName']} with InstancePools"


def _variant(variant: Document, model: Document) -> Variant:
    chain: tuple[Container, ...] = containers(model)
    serverless = variant.get("ServerlessConfig")
    count = 1 if serverless else variant["InitialInstanceCount"]
    return Variant(
        name=variant["VariantName"],
        containers=chain,
        instances=tuple(Instance.new(len(chain)) for _ in range(copies_for(count))),
        weight=variant.get("InitialVariantWeight", DEFAULT_WEIGHT),
        count=count,
        direct=is_direct(model),
        network_isolation=model.get("EnableNetworkIsolation", False),
        startup_timeout_seconds=variant.get("ContainerStartupHealthCheckTimeoutInSeconds"),
        instance_type=variant.get("InstanceType"),
        serverless=serverless,
        described={member: variant[member] for member in _SHOWN if variant.get(member)},
    )

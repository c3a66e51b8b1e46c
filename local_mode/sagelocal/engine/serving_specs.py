"""One container of a model that serves, as the runtime is told to start it.

What it is told by its environment: developer guide, "Use Your Own Inference Code with Hosting
Services", "Inference Pipelines" and "Multi-Model Endpoints".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sagelocal.domain.deployments import Instance, Variant
from sagelocal.domain.instances import instance as instance_of
from sagelocal.domain.models import Container
from sagelocal.engine.gpus import gpus_of
from sagelocal.engine.packages import packages_mounts
from sagelocal.engine.service_access import service_access
from sagelocal.runtime.interface import ContainerSpec, Mount, Runtime
from sagelocal.settings import Settings

CONTAINER_PORT = 8080
MULTI_MODEL_VARIABLE = "SAGEMAKER_MULTI_MODEL"
# For servers inside a container of a pipeline; no two containers of a chain share a port.
SAFE_PORTS_FROM = 20_000
SAFE_PORTS = 1_000
# Memory is what one chooses of a serverless variant; processors come in proportion, up to these.
SERVERLESS_VCPUS = 6
MIB = 1024**2


@dataclass(frozen=True)
class Owner:
    """Whose containers they are: a resource, whose ARN they are labelled with under `label`."""

    label: str
    arn: str
    name: str
    region: str


def container_spec(
    owner: Owner,
    variant: Variant,
    instance: Instance,
    position: int,
    *,
    log_path: Path,
    mounts: tuple[Mount, ...],
    runtime: Runtime,
    settings: Settings,
) -> ContainerSpec:
    """The container at a position of the chain, on one instance; `mounts` are its model's."""
    container = variant.containers[position]
    vcpus, memory_bytes = _machine(variant)
    isolated = variant.network_isolation
    access = {} if isolated else service_access(settings, runtime)
    kept = packages_mounts(settings.packages_folder, network_isolation=isolated)
    return ContainerSpec(
        name=f"{owner.name}-{variant.name}-{instance.id}-{position}",
        image=container.image,
        log_path=log_path,
        mounts=(*mounts, *kept),
        arguments=("serve",),
        environment=access | environment(owner.region, variant, position),
        hostname=container.hostname,
        port=CONTAINER_PORT + position,
        memory_bytes=min(memory_bytes, settings.most_memory_bytes),
        cpus=float(min(vcpus, os.cpu_count() or 1)),
        gpus=gpus_of(variant.instance_type or "", settings, runtime).given,
        network_isolation=isolated,
        labels={owner.label: owner.arn},
    )


def _machine(variant: Variant) -> tuple[int, int]:
    """The processors and the bytes of memory of one instance of the variant."""
    if variant.serverless:
        return SERVERLESS_VCPUS, variant.serverless["MemorySizeInMB"] * MIB
    machine = instance_of(variant.instance_type or "")
    return machine.vcpus, machine.memory_bytes


def environment(region: str, variant: Variant, position: int) -> dict[str, str]:
    """What a container of a model is told. The client's own values win over the platform's.

    In a pipeline each container listens on a port of its own, which it is told.
    """
    container: Container = variant.containers[position]
    platform: Mapping[str, str] = {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
    modes: Mapping[str, str] = {MULTI_MODEL_VARIABLE: "true"} if container.multi_model else {}
    chained: Mapping[str, str] = {}
    if len(variant.containers) > 1:
        first = SAFE_PORTS_FROM + position * SAFE_PORTS
        chained = {
            "SAGEMAKER_BIND_TO_PORT": str(CONTAINER_PORT + position),
            "SAGEMAKER_SAFE_PORT_RANGE": f"{first}-{first + SAFE_PORTS - 1}",
        }
    return {**platform, **container.environment, **modes, **chained}

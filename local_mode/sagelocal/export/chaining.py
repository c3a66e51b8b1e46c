"""What stands before the containers: `front` or `loader`, in a container of plain Python."""

from __future__ import annotations

from pathlib import Path

from sagelocal.domain.models import MODELS_FOLDER
from sagelocal.export import front, loader
from sagelocal.export.description import ExportError, Files, Service

FRONT_IMAGE = "public.ecr.aws/docker/library/python:3.11-slim"
# Little enough that no container beside it misses it.
FRONT_VCPUS, FRONT_MEMORY_MIB = 0.25, 128


def refuse_gpus(service: Service) -> None:
    """Raises ExportError for a pipeline on GPUs, where each belongs to one container."""
    if service.is_pipeline and service.machine.gpus:
        raise ExportError(
            f"the variant {service.variant} is a pipeline of {len(service.stages)} containers "
            f"that share {service.machine.gpus} GPU(s), and there a GPU belongs to one container; "
            "export it --to compose, or make an endpoint of each container and export these"
        )


def front_arguments(service: Service, *, by_name: bool = False) -> list[str]:
    """What follows `python3`. The containers are in its network, or found by their names."""
    containers = ",".join(
        f"{service.name_of(stage)}:{stage.port}" if by_name else str(stage.port)
        for stage in service.stages
    )
    program = loader.__file__ if service.has_many_models else front.__file__
    found = ["-c", Path(program).read_text(encoding="utf-8"), str(service.port)]
    if not service.has_many_models:
        return [*found, containers]
    forget = [] if service.stages[0].keeps_models else ["forget"]
    return [*found, containers, MODELS_FOLDER, *forget]


def front_files(service: Service) -> tuple[Files, ...]:
    """The model data that it reads, too."""
    return tuple(files for files in service.files if files.is_shelf)

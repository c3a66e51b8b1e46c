"""What stands before the containers: `front` or `loader`, in a container of plain Python."""

from __future__ import annotations

import re
from pathlib import Path

from sagelocal.domain.models import MODELS_FOLDER
from sagelocal.export import front, gate, loader
from sagelocal.export.description import ExportError, Files, Service

FRONT_IMAGE = "public.ecr.aws/docker/library/python:3.11-slim"
# Little enough that no container beside it misses it.
FRONT_VCPUS, FRONT_MEMORY_MIB = 0.25, 128

_IMPORT_OF_GATE = re.compile(r"^from sagelocal\.export\.gate import (\([^)]*\)|.*)$", re.MULTILINE)
_FUTURE = "from __future__ import annotations\n"


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
    program = _program(loader.__file__ if service.has_many_models else front.__file__)
    found = ["-c", program, str(service.port)]
    if not service.has_many_models:
        return [*found, containers]
    forget = [] if service.stages[0].keeps_models else ["forget"]
    return [*found, containers, MODELS_FOLDER, *forget]


def front_files(service: Service) -> tuple[Files, ...]:
    """The model data that it reads, too."""
    return tuple(files for files in service.files if files.is_shelf)


def _program(path: str) -> str:
    """The program's text, with that of `gate` in place of its import."""
    text, shared = (Path(each).read_text(encoding="utf-8") for each in (path, gate.__file__))
    shared = shared.partition(_FUTURE)[2].strip()
    return _IMPORT_OF_GATE.sub(lambda _: shared, text, count=1)

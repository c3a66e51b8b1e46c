"""Where an endpoint can be exported to."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from sagelocal.export.compose import compose_files
from sagelocal.export.description import ExportError, Service
from sagelocal.export.ecs import ecs_files
from sagelocal.export.files import Texts
from sagelocal.export.function import function_files
from sagelocal.export.kserve import kserve_files
from sagelocal.export.kubernetes import kubernetes_files


@dataclass(frozen=True)
class Target:
    """`files` raises ExportError for what the target cannot have.

    One that `runs_elsewhere` takes the image from a registry; with `brings_model` the exported
    folder has the model's files, unpacked, else they are fetched from S3 where it runs.
    """

    name: str
    files: Callable[[Service], Texts]
    runs_elsewhere: bool = True
    brings_model: bool = False


TARGETS = {
    target.name: target
    for target in (
        Target("compose", compose_files, runs_elsewhere=False, brings_model=True),
        Target("ecs", ecs_files),
        Target("kubernetes", kubernetes_files),
        Target("kserve", kserve_files),
        Target("lambda", function_files, brings_model=True),
    )
}
_ALSO = {"k8s": "kubernetes", "fargate": "ecs", "docker-compose": "compose"}


def target_named(name: str) -> Target:
    """Raises ExportError, naming the nearest, for one that there is not."""
    if name in TARGETS:
        return TARGETS[name]
    near = difflib.get_close_matches(name.lower(), [*TARGETS, *_ALSO], n=1)
    meant = f"did you mean {_ALSO.get(near[0], near[0])}? " if near else ""
    raise ExportError(f"there is no target {name!r}; {meant}There are: {', '.join(TARGETS)}")

"""Which runtime the settings mean: `docker`, `process`, or `auto`: Docker if an engine answers."""

from __future__ import annotations

import importlib
from typing import cast

from sagelocal.runtime.images import ImageCatalog
from sagelocal.runtime.interface import PushedNames, Runtime
from sagelocal.runtime.ping import engine_answers
from sagelocal.runtime.process import ProcessRuntime
from sagelocal.settings import Settings


def choose_runtime(
    settings: Settings, images: ImageCatalog, pushed: PushedNames | None = None
) -> Runtime:
    """The runtime to use; for `pushed` see DockerRuntime.

    Raises RuntimeUnavailable if Docker is asked for and does not answer.
    """
    if settings.runtime == "process":
        return _process(settings, images)
    if settings.runtime == "auto" and not engine_answers():
        return _process(settings, images)
    # The Docker client takes 0.2 s to import, which a plane on processes need not pay.
    docker = importlib.import_module("sagelocal.runtime.docker")
    return cast(Runtime, docker.DockerRuntime(settings.data_dir / "docker", images, pushed))


def _process(settings: Settings, images: ImageCatalog) -> ProcessRuntime:
    return ProcessRuntime(settings.data_dir / "processes", images)

"""The control plane put together: every part that service functions stand on, made once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sagelocal.engine.async_invocations import AsyncInvocations
from sagelocal.engine.data_capture import CaptureWriter
from sagelocal.engine.hosting import HostingEngine
from sagelocal.engine.packages import sweep_packages
from sagelocal.engine.pushed_images import PushedImages
from sagelocal.engine.training import TrainingEngine
from sagelocal.engine.transforms import TransformEngine
from sagelocal.runtime.choose import choose_runtime
from sagelocal.runtime.images import ImageCatalog
from sagelocal.runtime.interface import Runtime
from sagelocal.settings import Settings
from sagelocal.store.database import Database
from sagelocal.store.logs import LogStore
from sagelocal.store.objects import ObjectStore
from sagelocal.store.registry import Registry
from sagelocal.store.resources import Resources


@dataclass(frozen=True)
class Plane:
    """One running control plane."""

    settings: Settings
    resources: Resources
    objects: ObjectStore
    logs: LogStore
    images: ImageCatalog
    registry: Registry | None
    runtime: Runtime
    training: TrainingEngine
    hosting: HostingEngine
    asynchronous: AsyncInvocations
    captures: CaptureWriter
    transforms: TransformEngine


@contextmanager
def open_plane(settings: Settings, images: ImageCatalog | None = None) -> Iterator[Plane]:
    """Open the data directory, take up what the last plane left, and yield the plane.

    `images` are those of the settings' folder if not given.

    On leaving, workers stop and files are closed; containers go on running.
    """
    data = settings.data_dir
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(data / "plane.sqlite")
    resources = Resources(database)
    objects = ObjectStore(database, data / "objects")
    logs = LogStore(data / "logs")
    images = images or ImageCatalog.load(settings.containers_dir)
    registry = (
        Registry.open(settings.ecr_registry, settings.ecr_password_file)
        if settings.ecr_registry
        else None
    )
    runtime = choose_runtime(settings, images, PushedImages(resources, registry))
    training = TrainingEngine(
        resources, objects, logs, runtime, settings, folder=data / "training-jobs"
    )
    hosting = HostingEngine(resources, objects, logs, runtime, settings, folder=data / "endpoints")
    asynchronous = AsyncInvocations(resources, objects, hosting)
    captures = CaptureWriter(objects)
    transforms = TransformEngine(
        resources, objects, logs, runtime, settings, folder=data / "transform-jobs"
    )
    sweep_packages(settings.packages_folder)
    training.start()
    hosting.start()
    asynchronous.start()
    transforms.start()
    try:
        yield Plane(
            settings,
            resources,
            objects,
            logs,
            images,
            registry,
            runtime,
            training,
            hosting,
            asynchronous,
            captures,
            transforms,
        )
    finally:
        transforms.close()
        training.close()
        captures.close()
        asynchronous.close()
        hosting.close()
        runtime.close()
        database.close()

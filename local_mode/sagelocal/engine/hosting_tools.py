"""From a deployment on paper to what the runtime is told: folders, environment, limits.

    <region>/<endpoint>/<deployment>/<variant>/<position>/model/    one container's /opt/ml/model
                                                          models/<instance>/    its /opt/ml/models

The instances of a variant share these folders, which are mounted read-only; but of many models,
each has what it was called for.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sagelocal.domain.deployments import Deployment, Instance, Variant, log_group, log_stream
from sagelocal.domain.endpoints import Endpoint
from sagelocal.domain.models import MODELS_FOLDER
from sagelocal.engine.endpoint_records import EndpointRecords
from sagelocal.engine.gpus import gpus_of
from sagelocal.engine.instance_keeper import InstanceKeeper, Member, Timing
from sagelocal.engine.loaded_models import LoadedModels
from sagelocal.engine.model_data import model_mounts, stage
from sagelocal.engine.model_shelf import ModelShelf
from sagelocal.engine.models_api import ModelsApi
from sagelocal.engine.serving_specs import Owner, container_spec
from sagelocal.runtime.interface import ContainerSpec, Mount, Runtime
from sagelocal.settings import Settings
from sagelocal.store.logs import LogStore, NoSuchLog
from sagelocal.store.objects import ObjectStore

ENDPOINT_LABEL = "endpoint"
LAST_LOG_LINES = 8
LAST_LOG_CHARACTERS = 500


class Closing(Exception):
    """The plane is closing: leave everything as it is."""


@dataclass(frozen=True)
class HostingTools:
    """Shared by all workers; `folder` holds the endpoints' folders."""

    records: EndpointRecords
    objects: ObjectStore
    logs: LogStore
    runtime: Runtime
    settings: Settings
    folder: Path
    closing: threading.Event

    def check_closing(self) -> None:
        """Raises Closing once the plane is."""
        if self.closing.is_set():
            raise Closing

    def stage(self, endpoint: Endpoint, deployment: Deployment) -> None:
        """Make the folders that the deployment's containers find. Raises ModelDataFault.

        Folders appear whole under their name, so what is there already need not be made again.
        """
        for variant in deployment.variants:
            for position, container in enumerate(variant.containers):
                target = self._container_folder(endpoint, deployment, variant, position)
                if not target.exists():
                    unfinished = target.with_suffix(".partial")
                    stage(self.objects, container, unfinished, self.check_closing)
                    unfinished.rename(target)

    def keeper(
        self,
        endpoint: Endpoint,
        deployment: Deployment,
        variant: Variant,
        instance: Instance,
        *,
        in_service: bool,
    ) -> InstanceKeeper:
        """A keeper for one instance, not started yet."""
        startup = variant.startup_timeout_seconds or self.settings.startup_timeout_seconds
        return InstanceKeeper(
            instance,
            variant.name,
            [
                Member(
                    container.label,
                    self._spec(endpoint, deployment, variant, instance, position),
                    gpus_of(variant.instance_type or "", self.settings, self.runtime),
                    self._models(endpoint, deployment, variant, instance, position),
                )
                for position, container in enumerate(variant.containers)
            ],
            runtime=self.runtime,
            timing=Timing(
                ping_timeout=self.settings.ping_timeout_seconds,
                startup_timeout=startup,
                stop_grace=self.settings.hosting_stop_grace_seconds,
            ),
            record=lambda instance_id, position, placed: self.records.place(
                endpoint.arn, instance_id, position, placed
            ),
            log_tail=lambda position: self._log_tail(endpoint, variant, instance, position),
            in_service=in_service,
        )

    def discard(self, endpoint: Endpoint, deployment: Deployment, kept: Iterable[str]) -> None:
        """Delete a deployment's folder unless its id is among those kept."""
        if deployment.id not in set(kept):
            shutil.rmtree(self._endpoint_folder(endpoint) / deployment.id, ignore_errors=True)

    def discard_all(self, endpoint: Endpoint) -> None:
        """Delete an endpoint's folder."""
        shutil.rmtree(self._endpoint_folder(endpoint), ignore_errors=True)

    def sweep(self, endpoints: Iterable[Endpoint]) -> None:
        """Delete the folders of endpoints that are gone."""
        wanted = {self._endpoint_folder(endpoint) for endpoint in endpoints}
        for folder in self.folder.glob("*/*"):
            if folder not in wanted:
                shutil.rmtree(folder, ignore_errors=True)

    def _endpoint_folder(self, endpoint: Endpoint) -> Path:
        return self.folder / endpoint.region / endpoint.name.lower()

    def _container_folder(
        self, endpoint: Endpoint, deployment: Deployment, variant: Variant, position: int
    ) -> Path:
        return self._endpoint_folder(endpoint) / deployment.id / variant.name / f"{position:02}"

    def _spec(
        self,
        endpoint: Endpoint,
        deployment: Deployment,
        variant: Variant,
        instance: Instance,
        position: int,
    ) -> ContainerSpec:
        container = variant.containers[position]
        folder = self._container_folder(endpoint, deployment, variant, position)
        mounts = model_mounts(container, folder)
        if container.multi_model:
            models = self._models_folder(endpoint, deployment, variant, instance, position)
            mounts = (*mounts, Mount(models, MODELS_FOLDER, read_only=True))
        return container_spec(
            Owner(ENDPOINT_LABEL, endpoint.arn, endpoint.name, endpoint.region),
            variant,
            instance,
            position,
            log_path=self.logs.path(
                log_group(endpoint.name), log_stream(variant, instance.id, container)
            ),
            mounts=mounts,
            runtime=self.runtime,
            settings=self.settings,
        )

    def _models_folder(
        self,
        endpoint: Endpoint,
        deployment: Deployment,
        variant: Variant,
        instance: Instance,
        position: int,
    ) -> Path:
        folder = self._container_folder(endpoint, deployment, variant, position)
        return folder / "models" / instance.id

    def _models(
        self,
        endpoint: Endpoint,
        deployment: Deployment,
        variant: Variant,
        instance: Instance,
        position: int,
    ) -> Callable[[ModelsApi], LoadedModels] | None:
        """What makes the books of a container with many models; None for any other."""
        container = variant.containers[position]
        if container.models is None:
            return None
        folder = self._models_folder(endpoint, deployment, variant, instance, position)
        shelf = ModelShelf(self.objects, container, container.models, folder)
        return lambda api: LoadedModels(
            shelf,
            api,
            keep=container.keep_models,
            load_timeout_seconds=self.settings.model_load_timeout_seconds,
        )

    def _log_tail(
        self, endpoint: Endpoint, variant: Variant, instance: Instance, position: int
    ) -> str:
        """The last words of a container, on one line."""
        stream = log_stream(variant, instance.id, variant.containers[position])
        try:
            page = self.logs.backwards(log_group(endpoint.name), stream, limit=LAST_LOG_LINES)
        except NoSuchLog:
            return ""
        return " | ".join(event.text for event in page.events)[-LAST_LOG_CHARACTERS:]

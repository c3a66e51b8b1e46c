"""What every transform job needs of the plane: its folder, its containers.

<region>/<job>/<position>/model/    one container's /opt/ml/model; outputs wait beside them
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sagelocal.domain.deployments import Instance
from sagelocal.domain.transform import LOG_GROUP, TransformJob, stream_of
from sagelocal.engine.gpus import gpus_of
from sagelocal.engine.instance_keeper import InstanceKeeper, Member, Timing
from sagelocal.engine.model_data import model_mounts, stage
from sagelocal.engine.serving_specs import Owner, container_spec
from sagelocal.engine.transform_records import TransformRecords
from sagelocal.runtime.interface import Runtime
from sagelocal.settings import Settings
from sagelocal.store.logs import LogStore, NoSuchLog
from sagelocal.store.objects import ObjectStore

LABEL = "transform-job"
LAST_LOG_LINES = 8
LAST_LOG_CHARACTERS = 500


class Closing(Exception):
    """The plane is closing: leave everything as it is."""


class Stopping(Exception):
    """The job was asked to stop."""


@dataclass(frozen=True)
class TransformTools:
    """Shared by all workers; `folder` holds the jobs' folders."""

    records: TransformRecords
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

    def folder_of(self, job: TransformJob) -> Path:
        return self.folder / job.region / job.name.lower()

    def stage(self, job: TransformJob, check: Callable[[], None]) -> None:
        """Make the folders that the containers find. Raises ModelDataFault.

        Folders appear whole under their name, so what is there already need not be made again.
        """
        self.folder_of(job).mkdir(parents=True, exist_ok=True)
        for position, container in enumerate(job.variant.containers):
            target = self.folder_of(job) / f"{position:02}"
            if not target.exists():
                unfinished = target.with_suffix(".partial")
                stage(self.objects, container, unfinished, check)
                unfinished.rename(target)

    def keepers(self, job: TransformJob) -> list[InstanceKeeper]:
        """A keeper for each instance, not started yet."""
        return [self._keeper(job, instance) for instance in job.variant.instances]

    def discard(self, job: TransformJob) -> None:
        """Delete a job's folder."""
        shutil.rmtree(self.folder_of(job), ignore_errors=True)

    def sweep(self, jobs: Iterable[TransformJob]) -> None:
        """Delete the folders of jobs that have ended."""
        wanted = {self.folder_of(job) for job in jobs}
        for folder in self.folder.glob("*/*"):
            if folder not in wanted:
                shutil.rmtree(folder, ignore_errors=True)

    def _keeper(self, job: TransformJob, instance: Instance) -> InstanceKeeper:
        gpus = gpus_of(job.variant.instance_type or "", self.settings, self.runtime)
        owner = Owner(LABEL, job.arn, job.name, job.region)
        return InstanceKeeper(
            instance,
            None,
            [
                Member(
                    container.label,
                    container_spec(
                        owner,
                        job.variant,
                        instance,
                        position,
                        log_path=self.logs.path(LOG_GROUP, self._stream(job, instance, position)),
                        mounts=model_mounts(container, self.folder_of(job) / f"{position:02}"),
                        runtime=self.runtime,
                        settings=self.settings,
                    ),
                    gpus,
                )
                for position, container in enumerate(job.variant.containers)
            ],
            runtime=self.runtime,
            timing=Timing(
                ping_timeout=self.settings.ping_timeout_seconds,
                startup_timeout=self.settings.startup_timeout_seconds,
                stop_grace=self.settings.hosting_stop_grace_seconds,
            ),
            record=lambda instance_id, position, placed: self.records.place(
                job.arn, instance_id, position, placed
            ),
            log_tail=lambda position: self._log_tail(job, instance, position),
        )

    def _stream(self, job: TransformJob, instance: Instance, position: int) -> str:
        """One stream for an instance; one for each of its containers where there are several."""
        stream = stream_of(job.name, instance)
        several = len(job.variant.containers) > 1
        return f"{stream}/{job.variant.containers[position].label}" if several else stream

    def _log_tail(self, job: TransformJob, instance: Instance, position: int) -> str:
        """The last words of a container, on one line."""
        try:
            page = self.logs.backwards(
                LOG_GROUP, self._stream(job, instance, position), limit=LAST_LOG_LINES
            )
        except NoSuchLog:
            return ""
        return " | ".join(event.text for event in page.events)[-LAST_LOG_CHARACTERS:]

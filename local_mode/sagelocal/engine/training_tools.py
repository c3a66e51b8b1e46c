"""What every training job's worker stands on, and where a job's files lie."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sagelocal.domain.instances import instance
from sagelocal.domain.training import TrainingJob
from sagelocal.domain.training_spec import Host, TrainingSpec
from sagelocal.engine.gpus import Gpus, gpus_of
from sagelocal.engine.opt_ml import OptMl, environment
from sagelocal.engine.packages import packages_mounts
from sagelocal.engine.service_access import service_access
from sagelocal.engine.training_records import TrainingRecords
from sagelocal.runtime import feeding
from sagelocal.runtime.interface import (
    ContainerSpec,
    Handle,
    JobNetwork,
    Mount,
    Runtime,
    RuntimeFault,
)
from sagelocal.settings import Settings
from sagelocal.store.logs import LogStore
from sagelocal.store.objects import ObjectStore

# The training toolkit's: the user's script waits on this port for a Python debugger.
DEBUGGER_VARIABLE = "SAGELOCAL_DEBUGGER_PORT"
PRETRAINED_TARGET = "/opt/ml/pretrained"
JOB_LABEL = "sagelocal.training-job"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingTools:
    """Shared by all workers; `folder` holds the jobs' folders."""

    records: TrainingRecords
    objects: ObjectStore
    logs: LogStore
    runtime: Runtime
    settings: Settings
    folder: Path

    def opt_ml(self, job: TrainingJob, host: str) -> OptMl:
        return OptMl(job_folder(self.folder, job) / host)

    def memory_bytes(self, host: Host) -> int:
        """The instance type's memory, or this machine's if it has less."""
        return min(instance(host.instance_type).memory_bytes, self.settings.most_memory_bytes)

    def gpus(self, host: Host) -> Gpus:
        """As many of the instance type's GPUs as there are here."""
        return gpus_of(host.instance_type, self.settings, self.runtime)

    def container(
        self, job: TrainingJob, spec: TrainingSpec, host: Host, log_path: Path
    ) -> ContainerSpec:
        """One host's container: `train`, or the entry point that the request names instead."""
        custom = bool(spec.entrypoint or spec.arguments)
        access = {} if spec.network_isolation else service_access(self.settings, self.runtime)
        return ContainerSpec(
            name=container_name(self.folder, job, host),
            image=spec.image,
            log_path=log_path,
            mounts=(
                *self.opt_ml(job, host.name).mounts(spec.checkpoints, spec.tensorboard),
                *packages_mounts(
                    self.settings.packages_folder, network_isolation=spec.network_isolation
                ),
                *pretrained_mounts(self.settings.pretrained_models_dir),
            ),
            entrypoint=spec.entrypoint or None,
            arguments=spec.arguments if custom else ("train",),
            environment=access | environment(spec, job.name, job.arn, job.region),
            hostname=host.name,
            memory_bytes=self.memory_bytes(host),
            cpus=float(min(instance(host.instance_type).vcpus, os.cpu_count() or 1)),
            gpus=self.gpus(host).given,
            network_isolation=spec.network_isolation,
            network=self._network(job, spec),
            published_ports=_debugger_ports(spec, host),
            labels={JOB_LABEL: job.arn},
        )

    def clean_up(self, job: TrainingJob) -> None:
        """Remove a job's containers, running or not, their network and pipes, and its folder.

        The folder goes last: while it is there, the next plane knows that there is work left.
        """
        for host, handle in handles_of(job):
            if handle.runtime != self.runtime.name:
                continue
            try:
                self.runtime.stop(handle, 0)
                self.runtime.remove(handle)
            except RuntimeFault as error:
                log.warning("training-job %s: %s was left behind: %s", job.name, host, error)
        self._remove_network(job)
        for host_folder in job_folder(self.folder, job).glob("*"):
            feeding.stop(OptMl(host_folder).pipes)
        remove_folder(job_folder(self.folder, job))

    def _network(self, job: TrainingJob, spec: TrainingSpec) -> JobNetwork | None:
        """A host that is alone needs none."""
        hosts = tuple(host.name for host in spec.hosts)
        return JobNetwork(network_name(self.folder, job), hosts) if len(hosts) > 1 else None

    def _remove_network(self, job: TrainingJob) -> None:
        if len(job.hosts) < 2:
            return
        try:
            self.runtime.remove_network(network_name(self.folder, job))
        except RuntimeFault as error:
            log.warning("training-job %s: its network was left behind: %s", job.name, error)


def pretrained_mounts(folder: Path | None) -> tuple[Mount, ...]:
    """What the originals download: networks to begin with, if the plane was given some."""
    return () if folder is None else (Mount(folder.resolve(), PRETRAINED_TARGET, read_only=True),)


def _debugger_ports(spec: TrainingSpec, host: Host) -> tuple[int, ...]:
    """Where a debugger attaches: to the first host, as a port here belongs to one container."""
    port = spec.environment.get(DEBUGGER_VARIABLE, "")
    if host != spec.hosts[0] or not (port.isascii() and port.isdecimal()):
        return ()
    return (int(port),)


def handles_of(job: TrainingJob) -> Iterator[tuple[str, Handle]]:
    """The containers that were started for a job, by host."""
    for run in job.hosts:
        if run.runtime is not None and run.handle is not None:
            yield run.host, Handle(run.runtime, run.handle)


def remove_folder(folder: Path) -> None:
    """Remove what a job left, also folders that the job or the kernel closed to their owner."""
    shutil.rmtree(folder, ignore_errors=True)
    for path, names, _ in os.walk(folder):
        for name in names:
            found = os.path.join(path, name)
            if not os.path.islink(found):
                with contextlib.suppress(OSError):
                    os.chmod(found, 0o700)
    shutil.rmtree(folder, ignore_errors=True)


def job_folder(folder: Path, job: TrainingJob) -> Path:
    return folder / job.region / job.name


def container_name(folder: Path, job: TrainingJob, host: Host) -> str:
    """The same for the same job whenever it is asked for, and no other job's on this machine."""
    return f"{job.name}-{host.name}-{_digest(folder, job)}"


def network_name(folder: Path, job: TrainingJob) -> str:
    """Of the network of a job's hosts; unique as `container_name` is."""
    return f"{job.name}-{_digest(folder, job)}"


def _digest(folder: Path, job: TrainingJob) -> str:
    identity = f"{folder.absolute()} {job.arn} {job.created_at}"
    return hashlib.sha256(identity.encode()).hexdigest()[:8]

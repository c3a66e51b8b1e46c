"""What a training container finds when it starts: its folders, configuration files, environment.

Formats: SageMaker developer guide, "How Amazon SageMaker Provides Training Information". Each host
has a folder of its own on this machine, which mirrors /opt/ml:

    algo-1/
        input/config/{hyperparameters,inputdataconfig,resourceconfig}.json
        input/data/CHANNEL/...
        model/
        output/{data/,failure}
        checkpoints/               where CheckpointConfig is given, mounted at its LocalPath
        tensorboard/               the same of a TensorBoardOutputConfig, where it is not in output/

The parts are mounted one by one, so that what an image brings in /opt/ml/code stays visible. Beside
them lie, unseen by the container unless mounted over its input:

        channels/CHANNEL/objects/    hard links to objects, the lower layer of the channel's folder
        channels/CHANNEL/changes/    what the job writes there; none if the channel is read-only
        pipes/                       what fills the pipes, see `pipes`
"""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sagelocal.domain.channels import Channel
from sagelocal.domain.training_spec import Host, KeptFolder, TrainingSpec
from sagelocal.runtime.interface import Mount

# What the cloud calls it, and Docker too.
NETWORK_INTERFACE = "eth0"
# What is mounted of /opt/ml, each on its own.
PARTS = ("input", "model", "output")


@dataclass(frozen=True)
class OptMl:
    """The folder that stands for one host's /opt/ml."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "input" / "config"

    @property
    def data(self) -> Path:
        return self.root / "input" / "data"

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def output_data(self) -> Path:
        return self.root / "output" / "data"

    @property
    def failure(self) -> Path:
        return self.root / "output" / "failure"

    def channel(self, name: str) -> Path:
        return self.data / name

    def checkpoints(self, local_path: str) -> Path:
        """The folder that the container sees at the LocalPath of its checkpoints."""
        return self._kept(local_path, "checkpoints")

    def tensorboard(self, local_path: str) -> Path:
        """The folder that the container sees at the LocalPath of what TensorBoard shows."""
        return self._kept(local_path, "tensorboard")

    def _kept(self, local_path: str, name: str) -> Path:
        inside = PurePosixPath(posixpath.normpath(local_path))
        for part in PARTS:
            if inside.is_relative_to(f"/opt/ml/{part}"):
                return self.root / inside.relative_to("/opt/ml")
        return self.root / name

    @property
    def pipes(self) -> Path:
        return self.root / "pipes"

    def shown(self, channel: str) -> Path:
        """The objects of a channel that is mounted over its folder."""
        return self._channels / channel / "objects"

    def scratch(self, channel: str) -> Path:
        """Where a job's changes to such a channel go."""
        return self._channels / channel / "changes"

    def mounts(
        self, checkpoints: KeptFolder | None = None, tensorboard: KeptFolder | None = None
    ) -> tuple[Mount, ...]:
        """The parts, the channels that were laid out to be mounted, and what is kept in S3."""
        parts = [Mount(self.root / part, f"/opt/ml/{part}") for part in PARTS]
        names = sorted(path.name for path in self._channels.glob("*"))
        kept = [
            Mount(self.root / name, posixpath.normpath(folder.path))
            for name, folder in (("checkpoints", checkpoints), ("tensorboard", tensorboard))
            if folder is not None and self._kept(folder.path, name) == self.root / name
        ]
        # One may lie in the other, which is mounted before it.
        kept.sort(key=lambda mount: mount.target)
        return (*parts, *(self._channel_mount(name) for name in names), *kept)

    @property
    def _channels(self) -> Path:
        return self.root / "channels"

    def _channel_mount(self, name: str) -> Mount:
        target, scratch = f"/opt/ml/input/data/{name}", self.scratch(name)
        if scratch.is_dir():
            return Mount(self.shown(name), target, scratch=scratch)
        return Mount(self.shown(name), target, read_only=True)

    def prepare(
        self, spec: TrainingSpec, host: Host, network_interface: str = NETWORK_INTERFACE
    ) -> None:
        """Make the folders and write the configuration files of `host`."""
        for folder in (self.config, self.data, self.model, self.output_data):
            folder.mkdir(parents=True, exist_ok=True)
        if spec.checkpoints is not None:
            self.checkpoints(spec.checkpoints.path).mkdir(parents=True, exist_ok=True)
        if spec.tensorboard is not None:
            self.tensorboard(spec.tensorboard.path).mkdir(parents=True, exist_ok=True)
        for name, content in configuration(spec, host, network_interface).items():
            (self.config / name).write_text(json.dumps(content))


def configuration(
    spec: TrainingSpec, host: Host, network_interface: str = NETWORK_INTERFACE
) -> dict[str, Any]:
    """The files of /opt/ml/input/config by name, as JSON values."""
    files: dict[str, Any] = {
        "hyperparameters.json": dict(spec.hyperparameters),
        "inputdataconfig.json": {
            channel.name: _input_data(channel) for channel in channels_of(spec, host)
        },
        "resourceconfig.json": _resources(spec, host, network_interface),
    }
    if spec.checkpoints is not None:
        files["checkpointconfig.json"] = {
            "LocalPath": spec.checkpoints.path,
            "S3Uri": str(spec.checkpoints.uri),
        }
    return files


def environment(spec: TrainingSpec, job_name: str, job_arn: str, region: str) -> dict[str, str]:
    """The environment of a training container; the job's own name and ARN stand fast."""
    return {
        "AWS_REGION": region,
        **spec.environment,
        "TRAINING_JOB_NAME": job_name,
        "TRAINING_JOB_ARN": job_arn,
    }


def channels_of(spec: TrainingSpec, host: Host) -> tuple[Channel, ...]:
    """The channels that a host gets: all, or those of its instance group."""
    return tuple(
        channel
        for channel in spec.channels
        if not channel.instance_groups or host.group in channel.instance_groups
    )


def shard_of(spec: TrainingSpec, host: Host, channel: Channel) -> tuple[int, int]:
    """Which part of how many parts of a channel is the host's."""
    if channel.distribution != "ShardedByS3Key":
        return 0, 1
    peers = [peer for peer in spec.hosts if channel in channels_of(spec, peer)]
    return peers.index(host), len(peers)


def _input_data(channel: Channel) -> dict[str, str]:
    entry: dict[str, str] = {
        "TrainingInputMode": channel.input_mode,
        "S3DistributionType": channel.distribution,
        "RecordWrapperType": channel.record_wrapper,
    }
    return entry if channel.content_type is None else {"ContentType": channel.content_type, **entry}


def _resources(spec: TrainingSpec, host: Host, network_interface: str) -> dict[str, Any]:
    hosts = spec.hosts
    return {
        "current_host": host.name,
        "current_instance_type": host.instance_type,
        "current_group_name": host.group,
        "hosts": sorted(h.name for h in hosts),
        "instance_groups": [
            {
                "instance_group_name": group.name,
                "instance_type": group.instance_type,
                "hosts": [h.name for h in hosts if h.group == group.name],
            }
            for group in spec.groups
        ],
        "network_interface_name": network_interface,
    }

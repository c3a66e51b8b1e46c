"""The JSON files below /opt/ml/input/config as values, with defaults for what may be missing.

The platform writes all keys (developer guide, "How Amazon SageMaker Provides Training
Information"); the SageMaker SDK's local mode writes fewer, and people who run `docker run` by hand
fewer still. A file that is missing is an empty object; a file that cannot be read is a UserError.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from sagelocal_train.errors import PlatformError, UserError
from sagelocal_train.paths import Paths

DEFAULT_HOST = "algo-1"
DEFAULT_INSTANCE_GROUP = "homogeneousCluster"
DEFAULT_INSTANCE_TYPE = "local"
DEFAULT_NETWORK_INTERFACE = "eth0"

# How long a pipe may be missing, and how often it is looked for.
PIPE_TIMEOUT_SECONDS = 60.0
PIPE_LOOK_SECONDS = 0.01


@dataclass(frozen=True)
class Channel:
    """One input of the job. `path` is its folder (File, FastFile); Pipe mode has `pipe(epoch)`."""

    name: str
    path: Path
    content_type: str | None = None
    input_mode: str = "File"
    distribution: str | None = None
    """`FullyReplicated` or `ShardedByS3Key`; not said in the SDK's local mode."""
    record_wrapper: str = "None"

    def pipe(self, epoch: int) -> Path:
        """The FIFO of an epoch, counted from 0, in Pipe mode."""
        return self.path.with_name(f"{self.name}_{epoch}")

    def open_pipe(self, epoch: int, timeout_seconds: float = PIPE_TIMEOUT_SECONDS) -> BinaryIO:
        """The pipe of an epoch, open to read to its end, or to close before.

        The platform makes the next epoch's pipe while this one is read; it is waited for. Raises
        PlatformError if it does not come.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            try:
                return self.pipe(epoch).open("rb")
            except FileNotFoundError as error:
                if time.monotonic() > deadline:
                    raise PlatformError(
                        f"{self.pipe(epoch)} was not made within {timeout_seconds:g} s. Pipes are "
                        "read in order, from epoch 0, each once"
                    ) from error
            time.sleep(PIPE_LOOK_SECONDS)

    def files(self) -> list[Path]:
        """All files below the folder in a fixed order: by their path."""
        return sorted(path for path in self.path.rglob("*") if path.is_file())


@dataclass(frozen=True)
class InstanceGroup:
    """Hosts of one instance type in a job of several types."""

    name: str
    instance_type: str
    hosts: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The wire form, as in resourceconfig.json."""
        return {
            "instance_group_name": self.name,
            "instance_type": self.instance_type,
            "hosts": list(self.hosts),
        }


@dataclass(frozen=True)
class Resources:
    """The hosts of the job, and which one this is. Names resolve; addresses are nowhere given."""

    current_host: str = DEFAULT_HOST
    hosts: tuple[str, ...] = (DEFAULT_HOST,)
    network_interface: str = DEFAULT_NETWORK_INTERFACE
    instance_type: str = DEFAULT_INSTANCE_TYPE
    group_name: str = DEFAULT_INSTANCE_GROUP
    groups: tuple[InstanceGroup, ...] = ()
    document: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_first_host(self) -> bool:
        """Whether this is the host that saves what only one shall save."""
        return self.current_host == self.hosts[0]

    @property
    def group_hosts(self) -> tuple[str, ...]:
        """The hosts of this host's own group; empty where no groups are described."""
        return next((group.hosts for group in self.groups if group.name == self.group_name), ())


@dataclass(frozen=True)
class Checkpoints:
    """A folder that the platform keeps equal with S3 while the job runs."""

    local_path: Path
    s3_uri: str | None = None


def read_hyperparameters(paths: Paths) -> dict[str, str]:
    """The hyperparameters as strings. What a hand-written file holds unquoted becomes JSON text."""
    document = read_object(paths.hyperparameters)
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in document.items()
    }


def read_channels(document: Mapping[str, Any], paths: Paths) -> dict[str, Channel]:
    """The channels of an inputdataconfig.json by name."""
    return {name: _channel(name, entry, paths) for name, entry in document.items()}


def _channel(name: str, entry: object, paths: Paths) -> Channel:
    if not isinstance(entry, dict):
        raise UserError(
            f"Channel {name!r} in {paths.input_data_config} is {entry!r}, not a JSON object: "
            f'write {{"TrainingInputMode": "File"}} at least'
        )
    return Channel(
        name=name,
        path=paths.channel(name),
        content_type=entry.get("ContentType") or None,
        input_mode=entry.get("TrainingInputMode") or "File",
        distribution=entry.get("S3DistributionType") or None,
        record_wrapper=entry.get("RecordWrapperType") or "None",
    )


def read_resources(document: Mapping[str, Any]) -> Resources:
    """The hosts of a resourceconfig.json."""
    current = document.get("current_host") or DEFAULT_HOST
    return Resources(
        current_host=current,
        hosts=tuple(document.get("hosts") or (current,)),
        network_interface=document.get("network_interface_name") or DEFAULT_NETWORK_INTERFACE,
        instance_type=document.get("current_instance_type") or DEFAULT_INSTANCE_TYPE,
        group_name=document.get("current_group_name") or DEFAULT_INSTANCE_GROUP,
        groups=tuple(_group(entry) for entry in document.get("instance_groups") or ()),
        document=document,
    )


def _group(entry: Mapping[str, Any]) -> InstanceGroup:
    return InstanceGroup(
        name=entry.get("instance_group_name") or DEFAULT_INSTANCE_GROUP,
        instance_type=entry.get("instance_type") or DEFAULT_INSTANCE_TYPE,
        hosts=tuple(entry.get("hosts") or ()),
    )


def read_checkpoints(paths: Paths) -> Checkpoints | None:
    """The job's checkpoint folder, None when the job has no CheckpointConfig."""
    document = read_object(paths.checkpoint_config)
    if not document:
        return None
    local_path = Path(document.get("LocalPath") or paths.checkpoints)
    return Checkpoints(local_path=local_path, s3_uri=document.get("S3Uri"))


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file, empty when there is no such file; UserError if unreadable."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(
            f"{path} is not valid JSON ({error}): the platform writes one JSON object there"
        ) from error
    if not isinstance(document, dict):
        raise UserError(f"{path} holds {type(document).__name__}, not a JSON object")
    return document

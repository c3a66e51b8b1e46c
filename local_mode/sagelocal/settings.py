"""Every setting of the control plane: read once at the edge, frozen, passed down.

Each field says what it does in `help`; `sagelocal up --help` and the README's table tell it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

RuntimeName = Literal["auto", "docker", "process"]
GpuPolicy = Literal["available", "required"]

_REGISTRY = re.compile(r"(?:[a-zA-Z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")


@dataclass(frozen=True)
class Settings:
    """What `sagelocal up` was told. All times are in seconds, all sizes in bytes.

    Raises ValueError, naming the setting and its value, for what cannot be.
    """

    data_dir: Path = field(metadata={"help": "folder that holds everything the plane remembers"})
    host: str = field(default="127.0.0.1", metadata={"help": "address to listen on"})
    port: int = field(default=4570, metadata={"help": "port to listen on"})
    runtime: RuntimeName = field(
        default="auto", metadata={"help": "where containers run: docker, process, or auto"}
    )
    account: str = field(default="000000000000", metadata={"help": "the 12-digit account id"})
    role: str = field(
        default="SageLocalExecutionRole",
        metadata={"help": "name of the IAM role that callers appear to have assumed"},
    )
    containers_dir: Path | None = field(
        default=None, metadata={"help": "folder of image families; found beside sagelocal if unset"}
    )
    packages_dir: Path | None = field(
        default=None,
        metadata={
            "help": "folder of what users' requirements.txt brought, which planes may share; "
            "packages in the data folder if unset"
        },
    )
    ecr_registry: str | None = field(
        default=None,
        metadata={
            "help": "HOST:PORT of an image registry that holds what is pushed; without one images "
            "stay at the Docker engine that built them"
        },
    )
    ecr_password_file: Path | None = field(
        default=None,
        metadata={"help": "file with the password of the user AWS at that registry, if it has one"},
    )
    ping_timeout_seconds: float = field(
        default=2.0, metadata={"help": "one /ping must answer within this"}
    )
    startup_timeout_seconds: float = field(
        default=240.0, metadata={"help": "an endpoint's container must answer /ping within this"}
    )
    invocation_timeout_seconds: float = field(
        default=60.0, metadata={"help": "one /invocations must answer within this"}
    )
    stream_timeout_seconds: float = field(
        default=480.0,
        metadata={"help": "the answer of InvokeEndpointWithResponseStream must end within this"},
    )
    model_load_timeout_seconds: float = field(
        default=360.0,
        metadata={"help": "a container must load one of many models within this"},
    )
    max_invocation_bytes: int = field(
        default=25 * 1024 * 1024,
        metadata={"help": "largest InvokeEndpoint body, and largest answer that is not streamed"},
    )
    training_stop_grace_seconds: float = field(
        default=120.0, metadata={"help": "SIGTERM to SIGKILL when a training job is stopped"}
    )
    hosting_stop_grace_seconds: float = field(
        default=30.0,
        metadata={"help": "SIGTERM to SIGKILL when an endpoint's container is stopped"},
    )
    max_memory_bytes: int | None = field(
        default=None,
        metadata={"help": "upper bound of a container's memory; the machine's own if unset"},
    )
    gpus: GpuPolicy = field(
        default="available",
        metadata={
            "help": "where an instance type has GPUs and this machine none: available runs the "
            "container on processors and says so, required refuses it"
        },
    )
    max_gpus: int | None = field(
        default=None,
        metadata={"help": "upper bound of a container's GPUs; this machine's own if unset"},
    )
    pretrained_models_dir: Path | None = field(
        default=None,
        metadata={
            "help": "folder of pretrained networks, such as resnet-18, that training jobs see at "
            "/opt/ml/pretrained: Image Classification begins with them where it is asked for "
            "use_pretrained_model"
        },
    )
    spot_price_ratio: float = field(
        default=0.3,
        metadata={
            "help": "what a second of managed spot training costs of an on-demand one, for "
            "BillableTimeInSeconds"
        },
    )

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9]{12}", self.account):
            raise ValueError(f"account is {self.account!r}; it must be 12 digits")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port is {self.port}; it must be at least 0 and at most 65535")
        if self.ecr_registry is not None and not _REGISTRY.fullmatch(self.ecr_registry):
            raise ValueError(
                f"ecr_registry is {self.ecr_registry!r}; it must be HOST or HOST:PORT, without a "
                "scheme or a path"
            )
        if self.pretrained_models_dir is not None and not self.pretrained_models_dir.is_dir():
            raise ValueError(
                f"pretrained_models_dir is {str(self.pretrained_models_dir)!r}, which is no folder"
            )
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name.endswith(("_timeout_seconds", "_bytes")) and value is not None:
                _refuse(each.name, value, "greater than 0", accepted=value > 0)
            elif each.name.endswith(("_grace_seconds", "_gpus")) and value is not None:
                _refuse(each.name, value, "at least 0", accepted=value >= 0)
            elif each.name.endswith("_ratio"):
                _refuse(each.name, value, "from 0 to 1", accepted=0 <= value <= 1)

    @property
    def packages_folder(self) -> Path:
        """Where packages are kept that users asked for."""
        return self.packages_dir or self.data_dir / "packages"

    @property
    def most_memory_bytes(self) -> int:
        """What no container may exceed, whatever its instance type has."""
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return self.max_memory_bytes or machine


def _refuse(name: str, value: float, bound: str, *, accepted: bool) -> None:
    if not accepted:
        raise ValueError(f"{name} is {value:g}; it must be {bound}")

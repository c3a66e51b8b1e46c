"""What the engine needs from a place where containers run. Docker and plain processes provide it.

A container outlives the control plane: `start` returns a `Handle` that is plain text, is stored in
the database, and still works in the next plane's life, after kill -9. Its log goes to a file that
something other than the plane writes, or that can be written again from what the engine kept.

Log files hold one line per event: `<unix time in ms>\\t<text>\\n` (see `store.logs`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

#: Tells a container which name its image was asked for by.
IMAGE_VARIABLE = "SAGELOCAL_IMAGE"


class RuntimeFault(Exception):
    """A container could not be prepared or started; the text is fit for a FailureReason."""


class UnknownImage(RuntimeFault):
    """No image answers to the name; the text says which names are known and the next step."""


class RuntimeUnavailable(RuntimeFault):
    """The runtime itself does not answer (no Docker engine, no permission)."""


@dataclass(frozen=True)
class Pull:
    """An image in a registry, and who asks for it there: nobody if `user` is None."""

    reference: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)


class PushedNames(Protocol):
    """What a runtime asks of the repositories that images were pushed to."""

    def engine_name(self, uri: str) -> str | None:
        """The engine's own name of an image by digest that it built itself; None for others."""
        ...

    def to_pull(self, uri: str) -> Pull | None:
        """What to pull it by, where a registry has it; None for others."""
        ...


@dataclass(frozen=True)
class Mount:
    """A host folder or file at a path of the container. Paths below /opt/ml for both runtimes.

    With `scratch` the container may change what it sees, and `source` stays as it is: whatever the
    container writes goes to `scratch`, an empty folder on the same file system (an overlay mount;
    only where `Runtime.can_overlay` says so).
    """

    source: Path
    target: str
    read_only: bool = False
    scratch: Path | None = None


@dataclass(frozen=True)
class JobNetwork:
    """What the containers of one job share: each reaches each of `hosts` by that name.

    `name` is unique on this machine, and the same for the same job in the next plane's life. A
    container finds its own name in `ContainerSpec.hostname`.
    """

    name: str
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class ContainerSpec:
    """One container as the cloud would start it.

    `name` is unique on this machine. `image` is the URI that the client gave. `port` is the port
    the container is told to listen on (SAGEMAKER_BIND_TO_PORT is set by the caller only if not
    8080); None for a container that serves nothing. It is reached on loopback here, as `host_port`
    or any free port, and `published_ports` are reached as the same ports. `gpus` None leaves it to
    the place. `network` is made by the first container that is started on it, and goes with
    `Runtime.remove_network`.
    """

    name: str
    image: str
    log_path: Path
    mounts: tuple[Mount, ...]
    entrypoint: tuple[str, ...] | None = None
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    hostname: str | None = None
    port: int | None = None
    host_port: int | None = None
    memory_bytes: int | None = None
    cpus: float | None = None
    gpus: int | None = None
    network_isolation: bool = False
    published_ports: tuple[int, ...] = ()
    network: JobNetwork | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """`environment`, and unless that says otherwise the image's name as the client wrote it.

        One image answers to many names, and some of the originals behave by their version.
        """
        return {IMAGE_VARIABLE: self.image} | dict(self.environment)


@dataclass(frozen=True)
class Handle:
    """A started container, by something that survives the plane: `id` is opaque text."""

    runtime: str
    id: str


@dataclass(frozen=True)
class Exit:
    """How a container ended. `code` is 128 + N for signal N; `out_of_memory` when that is known."""

    code: int
    out_of_memory: bool = False
    ended_at: float | None = None


class Runtime(Protocol):
    """Where containers run. Every method may be called from any thread."""

    @property
    def name(self) -> str:
        """`docker` or `process`."""

    @property
    def network_interface(self) -> str:
        """The interface by which a job's containers reach one another, as they see it."""

    @property
    def gpus(self) -> int:
        """How many GPUs a container can be given here."""

    def prepare(self, image: str) -> None:
        """Make the image ready to start (build a venv, find the image). Raises RuntimeFault."""

    def labels(self, image: str) -> Mapping[str, str] | None:
        """The image's labels, or None if it is not known here. Raises RuntimeFault."""

    def version_note(self, image: str) -> str | None:
        """What a user should be told of a prepared image: that another version runs; else None."""

    def can_overlay(self, folder: Path) -> bool:
        """Whether mounts that are read-only or have a `scratch` below `folder` are kept here."""

    def start(self, spec: ContainerSpec) -> Handle:
        """Start it; returns as soon as it runs. Raises RuntimeFault."""

    def wait(self, handle: Handle, timeout_seconds: float | None = None) -> Exit | None:
        """Its exit, or None if it still runs after the timeout. The log is complete by then."""

    def stop(self, handle: Handle, grace_seconds: float) -> Exit:
        """SIGTERM, wait the grace, SIGKILL; its exit. Harmless if it has ended."""

    def address(self, handle: Handle) -> str | None:
        """`http://127.0.0.1:PORT` where its port is reached from this process; None if ended."""

    def host_address(self) -> str:
        """This machine's own address or name, as a container with a network finds it."""

    def is_container(self, address: str) -> bool:
        """Whether an IP address is one that containers may have."""

    def remove(self, handle: Handle) -> None:
        """Forget it and free what it holds (not its mounts or log). Harmless if gone."""

    def remove_network(self, name: str) -> None:
        """Free what a JobNetwork holds, and any container that is left on it. Harmless if gone."""

    def close(self) -> None:
        """Let go of what this process holds; containers go on running."""

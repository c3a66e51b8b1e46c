"""One container at the Docker engine: its files in and out, its log, its end.

Files go in and come out as archives and not by mounts, so that nothing on this machine is left in
the container's root's hands, and an engine elsewhere does as well. What a container may only read
is in a volume, filled before it starts.
"""

from __future__ import annotations

import calendar
import contextlib
import io
import math
import tarfile
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import docker
import requests
from docker.errors import APIError, NotFound

from sagelocal.check.archives import Tree
from sagelocal.runtime.ping import engine_host

LABEL = "sagelocal.check"
LISTEN_PORT = 8080
_TIMEOUT_SECONDS = 120
_READ_STATES = 'for file in /proc/[0-9]*/stat; do read -r line < "$file" && echo "$line"; done'


class StartError(Exception):
    """The engine could not start the container; the text is its reason."""


@dataclass(frozen=True)
class Plan:
    """How to start one container."""

    image: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    writable: Tree = field(default_factory=Tree)  # below /opt/ml
    read_only: Mapping[str, Tree] = field(default_factory=dict)  # by absolute path
    port: int | None = None
    isolated: bool = False
    user: str | None = None
    shm_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True)
class LogLine:
    """One line of a container's output, and when the engine got it, in seconds since 1970."""

    at: float
    text: str


class Engine:
    """The Docker engine, as far as a check needs it."""

    def __init__(self) -> None:
        self._api = docker.APIClient(
            base_url=engine_host(), version="auto", timeout=_TIMEOUT_SECONDS, max_pool_size=32
        )

    def close(self) -> None:
        self._api.close()

    def inspect(self, image: str) -> dict[str, Any]:
        """The engine's description of an image. Raises NotFound."""
        found: dict[str, Any] = self._api.inspect_image(image)  # type: ignore[no-untyped-call]  # lacks it in its stubs
        return found

    def history(self, image: str) -> list[dict[str, Any]]:
        """The lines that the image was built by, newest first."""
        found: list[dict[str, Any]] = self._api.history(image)  # type: ignore[no-untyped-call]
        return found

    def image_paths(self, image: str, folder: str) -> list[str]:
        """The files that an image has below a folder, without starting it."""
        with self.created(Plan(image, ("train",))) as container:
            return container.names(folder)

    @contextlib.contextmanager
    def created(self, plan: Plan) -> Iterator[Container]:
        """A container that is filled and not started; removed at the end with all it had."""
        volumes: dict[str, str] = {}
        identity = ""
        try:
            for path in plan.read_only:
                volumes[path] = self._api.create_volume(labels={LABEL: ""})["Name"]
            if volumes:
                self._fill(plan, volumes)
            identity = self._create(plan, volumes)
            self._api.put_archive(identity, "/", plan.writable.below("opt/ml").to_tar())
            yield Container(self._api, identity, plan)
        finally:
            if identity:
                self._api.remove_container(identity, force=True, v=True)
            for name in volumes.values():
                with contextlib.suppress(APIError):
                    self._api.remove_volume(name, force=True)

    @contextlib.contextmanager
    def started(self, plan: Plan) -> Iterator[Container]:
        """A container that runs. Raises StartError."""
        with self.created(plan) as container:
            container.start()
            yield container

    def _fill(self, plan: Plan, volumes: Mapping[str, str]) -> None:
        """Put the files into the volumes by way of a container that never starts."""
        filler = self._create(plan, volumes, writable=True)
        try:
            for path, tree in plan.read_only.items():
                self._api.put_archive(filler, path, tree.to_tar())
        finally:
            self._api.remove_container(filler, force=True)

    def _create(self, plan: Plan, volumes: Mapping[str, str], writable: bool = False) -> str:
        mode = "rw" if writable else "ro"
        port = plan.port
        try:
            created = self._api.create_container(
                plan.image,
                command=list(plan.arguments),
                environment=dict(plan.environment),
                name=f"sagelocal-check-{uuid.uuid4().hex[:12]}",
                labels={LABEL: ""},
                user=plan.user,
                ports=[port] if port else None,
                volumes=list(volumes),
                host_config=self._api.create_host_config(
                    binds={name: {"bind": path, "mode": mode} for path, name in volumes.items()},
                    port_bindings={port: ("127.0.0.1", None)} if port else None,
                    network_mode="none" if plan.isolated else None,
                    shm_size=plan.shm_bytes,
                ),
            )
        except APIError as error:
            raise StartError(str(error.explanation)) from error
        return str(created["Id"])


@dataclass
class Container:
    """One container of a check."""

    api: docker.APIClient
    identity: str
    plan: Plan
    started_at: float = 0.0

    def start(self) -> None:
        """Raises StartError."""
        self.started_at = time.time()
        try:
            self.api.start(self.identity)
        except APIError as error:
            raise StartError(str(error.explanation)) from error

    def wait(self, seconds: float) -> int | None:
        """Its exit status; None if it still runs by then."""
        try:
            status: int = self.api.wait(self.identity, timeout=math.ceil(seconds))["StatusCode"]
        except (requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError):
            return None
        return status

    def stop(self, grace_seconds: float) -> tuple[int, float]:
        """SIGTERM, the grace, SIGKILL: its exit status, and how long it took in seconds."""
        began = time.monotonic()
        self.api.stop(self.identity, timeout=math.ceil(grace_seconds))
        seconds = time.monotonic() - began
        return self.wait(10) or 0, seconds

    @property
    def runs(self) -> bool:
        return bool(self.api.inspect_container(self.identity)["State"]["Running"])

    @property
    def has_shell(self) -> bool:
        """Whether /bin/sh can be run in it."""
        return self.run_inside(["/bin/sh", "-c", "true"])[0] == 0

    def run_inside(self, command: list[str]) -> tuple[int, str]:
        """A command in the running container: its exit status and what it printed."""
        try:
            started = self.api.exec_create(self.identity, command)["Id"]
            printed = self.api.exec_start(started)
            status = self.api.exec_inspect(started)["ExitCode"]
        except APIError as error:
            return 126, str(error.explanation)
        return int(status if status is not None else 126), printed.decode(errors="replace")

    def address(self) -> str | None:
        """`127.0.0.1:PORT` of its published port; None once it has ended."""
        ports = self.api.inspect_container(self.identity)["NetworkSettings"]["Ports"] or {}
        published = ports.get(f"{self.plan.port}/tcp")
        return f"127.0.0.1:{published[0]['HostPort']}" if published else None

    def log(self) -> list[LogLine]:
        """Everything it has printed, on both streams, in order."""
        raw: bytes = self.api.logs(self.identity, timestamps=True)
        return [_log_line(line) for line in raw.decode(errors="replace").splitlines() if line]

    def last_words(self, lines: int = 3) -> str:
        """The end of its log in one line."""
        told = " | ".join(line.text for line in self.log()[-lines:] if line.text.strip())
        return told or "nothing was printed"

    def dead_processes(self) -> list[str]:
        """The names of its processes that have ended and were not waited for. Needs /bin/sh.

        The engine's own list leaves them out: they are in no control group any more.
        """
        _, said = self.run_inside(["/bin/sh", "-c", _READ_STATES])
        # `PID (name) STATE ...`, and the name may hold anything (proc(5)).
        entries = (line.partition("(")[2].rpartition(")") for line in said.splitlines())
        return [name for name, _, rest in entries if rest.split()[:1] == ["Z"]]

    def changed_paths(self) -> list[str]:
        """Every path that it added or changed beside its volumes."""
        return [each["Path"] for each in self.api.diff(self.identity) or [] if each["Kind"] != 2]

    def read(self, folder: str) -> Tree:
        """The files below a folder, by relative path; none if it is not there."""
        try:
            chunks, _ = self.api.get_archive(self.identity, folder)
        except NotFound:
            return Tree()
        with contextlib.suppress(tarfile.TarError):
            return Tree.of_archive(b"".join(chunks)).stripped(folder.rstrip("/").rpartition("/")[2])
        return Tree()

    def names(self, folder: str) -> list[str]:
        """The paths of the files below a folder; none if it is not there. Holds no content."""
        try:
            chunks, _ = self.api.get_archive(self.identity, folder)
        except NotFound:
            return []
        with tarfile.open(fileobj=_Stream(chunks), mode="r|") as tar:
            return sorted(member.name for member in tar if not member.isdir())

    def read_file(self, path: str) -> bytes | None:
        """One file's bytes; None if it is not there."""
        try:
            chunks, _ = self.api.get_archive(self.identity, path)
        except NotFound:
            return None
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
            content = tar.extractfile(tar.getmembers()[0])
            return content.read() if content else None


class _Stream(io.RawIOBase):
    """The chunks of an answer as one file to read through once."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; fewer only at the end."""
        parts, have = [self._rest], len(self._rest)
        while size < 0 or have < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            parts.append(chunk)
            have += len(chunk)
        whole = b"".join(parts)
        end = len(whole) if size < 0 else size
        self._rest = whole[end:]
        return whole[:end]


def _log_line(line: str) -> LogLine:
    stamp, _, text = line.partition(" ")
    return LogLine(_seconds(stamp), text)


def _seconds(stamp: str) -> float:
    """RFC 3339 in UTC with up to nine digits of a second."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    parsed = time.strptime(whole, "%Y-%m-%dT%H:%M:%S")
    return calendar.timegm(parsed) + float(f"0.{fraction or 0}")

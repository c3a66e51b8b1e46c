"""One container at the Docker engine: its files in and out, its log, its end.

Files go in and come out as archives and not by mounts, so that nothing on this machine is left in
the container's root's hands, and an engine elsewhere does as well. What a container may only read
is in a volume, filled before it starts; containers that read the same share one.
"""

from __future__ import annotations

import calendar
import contextlib
import fnmatch
import hashlib
import io
import ipaddress
import math
import signal
import tarfile
import threading
import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import APIError, NotFound

from sagelocal.check.archives import Tree
from sagelocal.runtime.ping import engine_host

LABEL = "sagelocal.check"
LISTEN_PORT = 8080
_TIMEOUT_SECONDS = 120
_LISTENING = "0A"  # a socket's state in /proc/net/tcp
_REMOVING_SECONDS, _LOOK_AGAIN_SECONDS = 20.0, 0.2


class StartError(Exception):
    """The engine could not start the container; the text is its reason."""


class Abandoned(Exception):
    """The check was given up; nothing more is started."""


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
    entry_point: tuple[str, ...] | None = None  # instead of the image's own


@dataclass(frozen=True)
class LogLine:
    """One line of a container's output, and when the engine got it, in seconds since 1970."""

    at: float
    text: str


class Engine:
    """The Docker engine, as far as a check needs it. Threads may share it.

    A check that is given up ends by its containers: `abandon` takes them away, and whatever waits
    for one of them fails at once.
    """

    def __init__(self) -> None:
        self._api = docker.APIClient(
            base_url=engine_host(), version="auto", timeout=_TIMEOUT_SECONDS, max_pool_size=32
        )
        self._volumes: dict[str, str] = {}  # names, by the digest of what is in them
        self._made: list[str] = []  # names, of those too that could not be filled
        self._filling = threading.Lock()
        self._living: set[str] = set()  # identities of containers that somebody has to remove
        self._abandoned: threading.Thread | None = None
        self._counting = threading.Lock()

    def close(self) -> None:
        """Leave nothing behind; nobody may be using it any more."""
        if self._abandoned is not None:
            self._abandoned.join()
        for name in self._made:
            with contextlib.suppress(APIError):
                self._api.remove_volume(name, force=True)
        self._api.close()

    @property
    def is_abandoned(self) -> bool:
        """Whether the check was given up."""
        return self._abandoned is not None

    def abandon(self) -> None:
        """Begin to remove every container, running ones too, and start no more.

        It returns at once and takes no lock, so that a handler of a signal may call it.
        """
        if self._abandoned is None:
            self._abandoned = threading.Thread(target=self._remove_all)
            self._abandoned.start()

    def _remove_all(self) -> None:
        with self._counting:
            left, self._living = self._living, set()
        for identity in left:
            self._remove(identity)

    def _remove(self, identity: str) -> None:
        """Tried again for a while: an engine may find files in use of what it has just killed."""
        until = time.monotonic() + _REMOVING_SECONDS
        while True:
            try:
                self._api.remove_container(identity, force=True, v=True)
            except NotFound:
                return
            except APIError:
                if time.monotonic() > until:
                    raise
                time.sleep(_LOOK_AGAIN_SECONDS)
            else:
                return

    def inspect(self, image: str) -> dict[str, Any]:
        """The engine's description of an image. Raises NotFound."""
        found: dict[str, Any] = self._api.inspect_image(image)  # type: ignore[no-untyped-call]  # lacks it in its stubs
        return found

    def history(self, image: str) -> list[dict[str, Any]]:
        """The lines that the image was built by, newest first."""
        found: list[dict[str, Any]] = self._api.history(image)  # type: ignore[no-untyped-call]
        return found

    def image_paths(
        self, image: str, folders: Collection[str], patterns: Collection[str]
    ) -> list[str]:
        """The absolute paths of files below folders of an image that match one of the patterns.

        A `*` of a pattern stands for slashes, too. The image's own `find` looks, which takes a
        second where to read an archive of the folders takes as long as they are large; but an image
        need not have one, nor be for this kind of machine.
        """
        found = self._found(image, folders, patterns)
        if found is not None:
            return found
        with self.created(Plan(image, ("train",))) as container:
            return sorted(
                path
                for folder in folders
                for path in container.paths(folder)
                if any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)
            )

    def _found(
        self, image: str, folders: Collection[str], patterns: Collection[str]
    ) -> list[str] | None:
        """What `find` says; None if it does not say all of it."""
        either = [word for pattern in patterns for word in ("-o", "-path", pattern)][1:]
        arguments = (*folders, "!", "-type", "d", "(", *either, ")")
        wanted = Plan(image, arguments, entry_point=("find",), user="0", isolated=True)
        try:
            with self.started(wanted) as container:
                if container.wait(_TIMEOUT_SECONDS) != 0:
                    return None
                return sorted(line.text for line in container.log())
        except StartError:
            return None

    @contextlib.contextmanager
    def created(self, plan: Plan) -> Iterator[Container]:
        """A container that is filled and not started; removed at the end with all it had."""
        volumes = {path: self._volume(plan, path) for path in plan.read_only}
        identity = self._create(plan, volumes)
        try:
            self._api.put_archive(identity, "/", plan.writable.below("opt/ml").to_tar())
            yield Container(self._api, identity, plan)
        finally:
            self._release(identity)

    @contextlib.contextmanager
    def started(self, plan: Plan) -> Iterator[Container]:
        """A container that runs. Raises StartError."""
        with self.created(plan) as container:
            container.start()
            yield container

    def _volume(self, plan: Plan, path: str) -> str:
        """The volume with what a plan has at a path: filled by way of a container that never runs.

        Nobody can change it, for every other container has it read-only.
        """
        archive = plan.read_only[path].to_tar()
        digest = hashlib.sha256(archive).hexdigest()
        with self._filling:
            if digest not in self._volumes:
                name = str(self._api.create_volume(labels={LABEL: plan.image})["Name"])
                self._made.append(name)
                filler = self._create(plan, {path: name}, writable=True)
                try:
                    self._api.put_archive(filler, path, archive)
                finally:
                    self._release(filler)
                self._volumes[digest] = name
            return self._volumes[digest]

    def _release(self, identity: str) -> None:
        """Remove a container, unless that is already somebody's."""
        with self._counting:
            mine = identity in self._living
            self._living.discard(identity)
        if mine:
            self._remove(identity)

    def _create(self, plan: Plan, volumes: Mapping[str, str], writable: bool = False) -> str:
        """Its identity, for `_release`. Raises StartError, Abandoned."""
        if self.is_abandoned:
            raise Abandoned
        # What the image has there is hidden, as by the cloud's own folders.
        mode = "rw,nocopy" if writable else "ro,nocopy"
        port = None if plan.isolated else plan.port
        try:
            created = self._api.create_container(
                plan.image,
                command=list(plan.arguments),
                entrypoint=list(plan.entry_point) if plan.entry_point else None,
                environment=dict(plan.environment),
                name=f"sagelocal-check-{uuid.uuid4().hex[:12]}",
                labels={LABEL: plan.image},
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
        identity = str(created["Id"])
        with self._counting:
            self._living.add(identity)
        if self.is_abandoned:
            self._release(identity)
            raise Abandoned
        return identity


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

    def run_inside(self, command: list[str]) -> tuple[int, str]:
        """A command in the running container: its exit status and what it printed."""
        try:
            started = self.api.exec_create(self.identity, command)["Id"]
            printed = self.api.exec_start(started)
            status = self.api.exec_inspect(started)["ExitCode"]
        except APIError as error:
            return 126, str(error.explanation)
        return int(status if status is not None else 126), printed.decode(errors="replace")

    def hears(self, number: signal.Signals) -> bool | None:
        """Whether its first process handles a signal, or blocks it to ask for it later.

        From the first process of a container the kernel keeps a signal that it does neither with
        (pid_namespaces(7)). None if it has ended, or the image has no `cat` to tell by.
        """
        masks = self._here() or self._inside()
        if not masks:
            return None
        taken = int(masks["SigCgt"], 16) | int(masks["SigBlk"], 16)
        return bool(taken >> (number - 1) & 1)

    def _here(self) -> dict[str, str]:
        """What the kernel says of its first process; empty where that is not of this machine."""
        pid = self.api.inspect_container(self.identity)["State"]["Pid"]
        try:
            said = _fields(Path(f"/proc/{pid}/status").read_text())
        except OSError:
            return {}
        # Its numbers, from the outermost namespace to its own.
        numbers = said.get("NSpid", "").split()
        return said if numbers[:1] == [str(pid)] and numbers[1:][-1:] == ["1"] else {}

    def _inside(self) -> dict[str, str]:
        """The same, asked in the container; empty if that cannot be."""
        status, said = self.run_inside(["cat", "/proc/1/status"])
        return _fields(said) if status == 0 else {}

    def listens_on(self) -> list[str]:
        """`ADDRESS:PORT` of what its programs listen on; none where it has no `cat` to tell by."""
        status, said = self.run_inside(["cat", "/proc/net/tcp", "/proc/net/tcp6"])
        entries = [line.split() for line in said.splitlines()] if status in (0, 1) else []
        return sorted({_address(e[1]) for e in entries if len(e) > 3 and e[3] == _LISTENING})

    def cpu_seconds(self) -> float | None:
        """How long it has used processors, all its processes together; None if unknown."""
        found = self.api.stats(self.identity, stream=False, one_shot=True)
        used = ((found.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage")
        return used / 1e9 if used else None

    def address(self) -> str | None:
        """`127.0.0.1:PORT` of its published port; None once it has ended."""
        ports = self.api.inspect_container(self.identity)["NetworkSettings"]["Ports"] or {}
        published = ports.get(f"{self.plan.port}/tcp")
        return f"127.0.0.1:{published[0]['HostPort']}" if published else None

    def log(self) -> list[LogLine]:
        """Everything it has printed, on both streams, in order."""
        raw: bytes = self.api.logs(self.identity, timestamps=True)
        return [_log_line(line) for line in raw.decode(errors="replace").splitlines() if line]

    def wait_for_output(self, seconds: float) -> None:
        """Until it has printed something or ended, but not for longer than that."""
        lines = self.api.logs(self.identity, stream=True, follow=True)
        # It waits for the engine, which no time limit of this side can end without a mess.
        first = threading.Thread(target=lambda: next(lines, None), daemon=True)
        first.start()
        first.join(seconds)

    def last_words(self, lines: int = 3) -> str:
        """The end of its log in one line."""
        told = " | ".join(line.text for line in self.log()[-lines:] if line.text.strip())
        return told or "nothing was printed"

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

    def paths(self, folder: str) -> list[str]:
        """The absolute paths of the files below a folder; none if it is not there."""
        try:
            chunks, _ = self.api.get_archive(self.identity, folder)
        except NotFound:
            return []
        parent = folder.rstrip("/").rpartition("/")[0]
        with tarfile.open(fileobj=_Stream(chunks), mode="r|") as tar:
            return sorted(f"{parent}/{member.name}" for member in tar if not member.isdir())

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


def _fields(text: str) -> dict[str, str]:
    return dict(line.partition(":")[::2] for line in text.splitlines())


def _address(entry: str) -> str:
    """Of the kernel's `0100007F:1F90` (proc_pid_net(5)), each four bytes the other way round."""
    packed, _, port = entry.partition(":")
    words = [bytes.fromhex(packed[i : i + 8])[::-1] for i in range(0, len(packed), 8)]
    return f"{ipaddress.ip_address(b''.join(words))}:{int(port, 16)}"


def _log_line(line: str) -> LogLine:
    stamp, _, text = line.partition(" ")
    return LogLine(_seconds(stamp), text)


def _seconds(stamp: str) -> float:
    """RFC 3339 in UTC with up to nine digits of a second."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    parsed = time.strptime(whole, "%Y-%m-%dT%H:%M:%S")
    return calendar.timegm(parsed) + float(f"0.{fraction or 0}")

"""The embedded runtime: image families as plain processes, where there is no Docker engine.

A family's locked environment is a venv (`environments`), and its `train` and `serve` are the same
console scripts as in the image. Each container gets a supervisor process (`supervisor`) that
outlives the plane. What is as in a container, and what is not:

- /opt/ml is private where namespaces are allowed (root, or unprivileged user namespaces), as is any
  other place of a mount; else the tree is at SAGEMAKER_BASE_DIR, its mounts are symbolic links,
  those elsewhere are refused, read-only is not enforced, and the host name is the machine's.
- The environment holds the image's, the caller's, and of the plane's own only `PASSED_ON`.
- What pip installs is the container's own (`private_environment`) and goes with it.
- HOME and the working directory are folders of its own. The rest of the file system, the process
  table and /tmp are the machine's.
- Memory and cpus are limited by a control group where this user may make one. Without one, a
  container over its memory is noticed within a second and killed.
- GPUs are those that CUDA_VISIBLE_DEVICES names, as many as the container was given.
- A serving container gets a free port by SAGEMAKER_BIND_TO_PORT, and others for servers of its own
  by SAGEMAKER_SAFE_PORT_RANGE.
- The main process is no process 1: SIGTERM ends it even if it has no handler for it, where a
  container's would run on until SIGKILL.
- Network isolation is a network namespace with a loopback only, one for all hosts of a job. A
  container that serves would then be out of reach, so isolation together with a port is refused,
  as it is where namespaces are.
- The hosts of one job share a network: the machine's, so that they reach what one host alone does,
  or the isolated one. Each has a loopback address of its own, and an /etc/hosts with the names of
  all (`loopback`); it is refused where namespaces are. What listens on all addresses at once takes
  the port from the other hosts too, and the interface is `lo`.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import logging
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sagelocal
from sagelocal.runtime.environments import Environment, Environments, default_folder
from sagelocal.runtime.gpus import gpu_count, visible
from sagelocal.runtime.images import ImageCatalog, ImageFamily
from sagelocal.runtime.interface import ContainerSpec, Exit, Handle, RuntimeFault
from sagelocal.runtime.loopback import LoopbackAddresses
from sagelocal.runtime.overlays import overlays_work
from sagelocal.runtime.ports import Ports, PortsGiven
from sagelocal.runtime.private_environment import make_private
from sagelocal.runtime.supervisor import cgroups, proc

NAME = "process"
# The machine's way out, by proxies and certificates, and what a Python of its own may need to load.
PASSED_ON = (
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"),
    "LD_LIBRARY_PATH",
)
LOOPBACK = "127.0.0.1"
# A container that is gone, with nobody who saw its end, counts as killed.
LOST = Exit(code=137)

_log = logging.getLogger(__name__)
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_KILL_SECONDS = 15.0
_POLL_SECONDS = 0.05
_BOOTSTRAP = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from sagelocal.runtime.supervisor.main import main; main(sys.argv[2])"
)


@dataclass(frozen=True)
class _Layout:
    """The folder of one container; its path is the handle's id."""

    folder: Path

    @property
    def own_folders(self) -> tuple[Path, ...]:
        return (self.opt_ml, self.home, self.work, self.scratch)

    @property
    def opt_ml(self) -> Path:
        """What is at /opt/ml where nothing is mounted over it."""
        return self.folder / "opt-ml"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def work(self) -> Path:
        """The working directory that the process starts in."""
        return self.folder / "work"

    @property
    def scratch(self) -> Path:
        """A mount point for the supervisor's own use."""
        return self.folder / "scratch"

    @property
    def environment(self) -> Path:
        """Where its Python installs packages."""
        return self.folder / "environment"

    @property
    def hosts(self) -> Path:
        return self.folder / "hosts"

    def read(self, name: str) -> dict[str, Any] | None:
        """`state` or `exit`; None if it is not there."""
        try:
            found: dict[str, Any] = json.loads((self.folder / f"{name}.json").read_bytes())
        except FileNotFoundError:
            return None
        return found

    def write(self, name: str, value: dict[str, Any]) -> None:
        """Readable by this user only: the environment may hold secrets."""
        path = self.folder / f"{name}.json"
        new = path.with_suffix(".json.new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(value, file)
        new.rename(path)


@dataclass
class ProcessRuntime:
    """Runs image families of `images` as processes; `folder` holds one folder per container."""

    folder: Path
    images: ImageCatalog
    environments_folder: Path = field(default_factory=default_folder)

    def __post_init__(self) -> None:
        self._environments = Environments(self.environments_folder, self.images)
        self._ready: dict[str, Environment] = {}
        # No container's folder begins with a dot.
        self._addresses = LoopbackAddresses(self.folder / ".networks")
        self._ports = Ports()

    @property
    def name(self) -> str:
        """`process`."""
        return NAME

    @property
    def network_interface(self) -> str:
        """The one that every machine has, and every network namespace."""
        return "lo"

    @property
    def gpus(self) -> int:
        """This machine's."""
        return gpu_count()

    def prepare(self, image: str) -> None:
        """Build the family's environment if it is not there, or not from today's sources."""
        family = self._family(image)
        self._ready[family.family] = self._environments.ready(family)

    def labels(self, image: str) -> dict[str, str] | None:
        """What the image's family and those it builds on say."""
        family = self.images.resolve(image)
        return self.images.labels(family) if family else None

    def version_note(self, image: str) -> str | None:
        """Where the name's version is not the family's."""
        return self.images.version_note(image)

    def can_overlay(self, folder: Path) -> bool:
        """Where namespaces are allowed and the file system can hold an overlay's layers."""
        return overlays_work(folder)

    def start(self, spec: ContainerSpec) -> Handle:
        """Start it under a supervisor; one of this name that a killed plane left is replaced."""
        family = self._family(spec.image)
        _check(spec)
        environment = self._ready.get(family.family) or self._environments.ready(family)
        layout = _Layout(self.folder.resolve() / spec.name)
        handle = Handle(NAME, str(layout.folder))
        self.remove(handle)
        for folder in layout.own_folders:
            folder.mkdir(parents=True)
        ports = self._ports.give(spec.name, spec.host_port) if spec.port is not None else None
        layout.write("spec", self._describe(spec, family, environment, layout, ports))
        try:
            spec.log_path.parent.mkdir(parents=True, exist_ok=True)
            with environment.in_use() as marker:
                _supervise(layout, spec, marker)
        except BaseException:
            self.remove(handle)
            raise
        return handle

    def wait(self, handle: Handle, timeout_seconds: float | None = None) -> Exit | None:
        """Its exit; one whose supervisor was killed, or whose folder is gone, counts as killed."""
        layout = _Layout(Path(handle.id))
        ended = _read_exit(layout)
        if ended:
            return ended
        state = layout.read("state")
        if state and not _wait_for_end(state, timeout_seconds):
            return _read_exit(layout)
        return _read_exit(layout) or _settle_lost(layout, state)

    def stop(self, handle: Handle, grace_seconds: float) -> Exit:
        """SIGTERM to the main process; after the grace, SIGKILL to everything."""
        layout = _Layout(Path(handle.id))
        state = layout.read("state")
        if state:
            _signal(state, signal.SIGTERM)
        ended = self.wait(handle, grace_seconds)
        if ended is None and state:
            _signal(state, signal.SIGUSR2)
            ended = self.wait(handle, _KILL_SECONDS)
        if ended is None and state:
            _signal(state, signal.SIGKILL)
            ended = self.wait(handle, _KILL_SECONDS)
        return ended or LOST

    def address(self, handle: Handle) -> str | None:
        """Loopback, with the port that the container was told to bind."""
        layout = _Layout(Path(handle.id))
        state = layout.read("state")
        if not state or state["port"] is None or _read_exit(layout) or not _is_alive(state):
            return None
        return f"http://127.0.0.1:{state['port']}"

    def host_address(self) -> str:
        """Loopback: processes share the machine's network."""
        return LOOPBACK

    def is_container(self, address: str) -> bool:
        """Any address of loopback."""
        return ipaddress.ip_address(address).is_loopback

    def remove(self, handle: Handle) -> None:
        """Kill what is left of it and delete its folder."""
        layout = _Layout(Path(handle.id))
        if not layout.folder.exists():
            return
        self.stop(handle, grace_seconds=0)
        shutil.rmtree(layout.folder, ignore_errors=True)
        self._ports.release(layout.folder.name)

    def remove_network(self, name: str) -> None:
        """Give its addresses back, once nothing that a killed plane left is on it."""
        for layout in list(self._on_network(name)):
            self.remove(Handle(NAME, str(layout.folder)))
        self._addresses.release(name)

    def close(self) -> None:
        """Nothing is held."""

    def _family(self, image: str) -> ImageFamily:
        family = self.images.resolve(image)
        if family is None:
            raise self.images.unknown(
                image,
                "The process runtime runs these families only; an image of your own needs Docker: "
                "`sagelocal up --runtime docker`.",
            )
        return family

    def _describe(
        self,
        spec: ContainerSpec,
        family: ImageFamily,
        environment: Environment,
        layout: _Layout,
        ports: PortsGiven | None,
    ) -> dict[str, Any]:
        """What the supervisor reads from spec.json."""
        return {
            "name": spec.name,
            "argv": [*(spec.entrypoint or ()), *spec.arguments],
            "environment": self._variables(spec, family, environment, layout, ports),
            "directory": str(layout.work),
            "log": str(spec.log_path.resolve()),
            "scratch": str(layout.scratch),
            "opt_ml": str(layout.opt_ml),
            "binds": [
                (
                    str(mount.source.resolve()),
                    mount.target,
                    mount.read_only,
                    str(mount.scratch.resolve()) if mount.scratch else None,
                )
                for mount in sorted(spec.mounts, key=lambda mount: mount.target)
            ],
            "hostname": spec.hostname,
            "hosts_file": _write_hosts(spec, layout, self._host_addresses(spec)),
            "network": spec.network.name if spec.network else None,
            "isolated": spec.network_isolation,
            "peers": self._peers(spec),
            "memory_bytes": spec.memory_bytes,
            "cpus": spec.cpus,
            "port": ports.bind if ports else None,
        }

    def _peers(self, spec: ContainerSpec) -> list[tuple[int, int]]:
        """Main processes of the containers, with their start times, whose network it shall join."""
        if spec.network is None or not spec.network_isolation:
            return []
        states = (layout.read("state") for layout in self._on_network(spec.network.name))
        return [(s["child"], s["child_started"]) for s in states if s and _is_alive(s)]

    def _on_network(self, name: str) -> Iterator[_Layout]:
        """The containers of a JobNetwork."""
        for folder in self.folder.resolve().glob("[!.]*"):
            layout = _Layout(folder)
            spec = layout.read("spec")
            if spec and spec.get("network") == name:
                yield layout

    def _variables(
        self,
        spec: ContainerSpec,
        family: ImageFamily,
        environment: Environment,
        layout: _Layout,
        ports: PortsGiven | None,
    ) -> dict[str, str]:
        variables = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
        scripts = make_private(
            environment.folder, layout.environment, self.images.executables(family)
        )
        variables["PATH"] = f"{scripts}:{_SYSTEM_PATH}"
        variables["HOME"] = str(layout.home)
        # As in the images, whatever this machine speaks and wherever it is.
        variables |= {"LANG": "C.UTF-8", "TZ": "UTC", "PYTHONUNBUFFERED": "1"}
        # No container's network is around it.
        variables |= dict.fromkeys(("MODEL_SERVER_HOST", "SAGELOCAL_DEBUGGER_HOST"), LOOPBACK)
        if spec.hostname:
            variables["HOSTNAME"] = spec.hostname
        variables |= visible(spec.gpus)
        variables |= self.images.environment(family) | spec.variables
        if ports is not None:
            variables["SAGEMAKER_BIND_TO_PORT"] = str(ports.bind)
            variables["SAGEMAKER_SAFE_PORT_RANGE"] = ports.safe_range
        return variables

    def _host_addresses(self, spec: ContainerSpec) -> dict[str, str]:
        """Of the names that the container shall know besides the machine's own."""
        if spec.network:
            return self._addresses.of(spec.network)
        return {spec.hostname: "127.0.0.1"} if spec.hostname else {}


def _check(spec: ContainerSpec) -> None:
    if not _NAME.fullmatch(spec.name):
        raise RuntimeFault(f"{spec.name!r} is no name for a container ({_NAME.pattern}).")
    if not spec.entrypoint and not spec.arguments:
        raise RuntimeFault(f"No command is given for the container {spec.name!r}.")
    if spec.network_isolation and spec.port is not None:
        raise RuntimeFault(
            "The process runtime cannot isolate the network of a container that serves; "
            "use Docker (`sagelocal up --runtime docker`) or deploy without EnableNetworkIsolation."
        )
    for mount in spec.mounts:
        if not mount.source.exists():
            raise RuntimeFault(f"The source {str(mount.source)!r} of a mount does not exist.")


def _write_hosts(spec: ContainerSpec, layout: _Layout, addresses: Mapping[str, str]) -> str | None:
    """/etc/hosts with the names of the job's hosts; None if there are none.

    Those of a network come first: what this machine's own file says of such a name must not hold.
    """
    if not addresses:
        return None
    own = ""
    with contextlib.suppress(OSError):
        own = Path("/etc/hosts").read_text(encoding="utf-8", errors="surrogateescape")
    lines = "".join(f"{address}\t{name}\n" for name, address in addresses.items())
    # A name's first line is what an address is called, and 127.0.0.1 stays localhost.
    text = lines + own if spec.network else f"{own}\n{lines}"
    layout.hosts.write_text(text, encoding="utf-8", errors="surrogateescape")
    layout.hosts.chmod(0o644)
    return str(layout.hosts)


def _supervise(layout: _Layout, spec: ContainerSpec, marker: int) -> None:
    """Start the supervisor, and wait until it says that the container runs."""
    errors = layout.folder / "supervisor.errors"
    with errors.open("wb") as error_file:
        supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _BOOTSTRAP, _import_root(), str(layout.folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=error_file,
            cwd="/",
            env={key: os.environ[key] for key in ("LD_LIBRARY_PATH",) if key in os.environ},
            start_new_session=True,
            pass_fds=(marker,),
        )
    assert supervisor.stdout is not None
    with supervisor.stdout:
        word, _, reason = supervisor.stdout.read().decode(errors="replace").partition(" ")
    supervisor.wait()
    if word == "started":
        return
    reason = reason or errors.read_text(errors="replace").strip() or "its supervisor was killed"
    command = " ".join([*(spec.entrypoint or ()), *spec.arguments])
    raise RuntimeFault(f"The container of image {spec.image!r} cannot start `{command}`: {reason}")


def _import_root() -> str:
    """The folder that holds the package `sagelocal`."""
    return str(Path(sagelocal.__path__[0]).parent)


def _read_exit(layout: _Layout) -> Exit | None:
    found = layout.read("exit")
    if found is None:
        return None
    if found.get("log_fault"):
        _log.warning("%s: %s", layout.folder.name, found["log_fault"])
    return Exit(found["code"], found["out_of_memory"], found["ended_at"])


def _is_alive(state: dict[str, Any]) -> bool:
    return proc.is_alive(state["supervisor"], state["supervisor_started"], state["boot"])


def _signal(state: dict[str, Any], number: int) -> None:
    """Signal that very supervisor: the descriptor is taken before its identity is checked."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(state["supervisor"])
        try:
            if _is_alive(state):
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)


def _wait_for_end(state: dict[str, Any], timeout_seconds: float | None) -> bool:
    """Whether the supervisor ended within the timeout."""
    try:
        descriptor = os.pidfd_open(state["supervisor"])
    except ProcessLookupError:
        return True
    except OSError:
        return _poll_for_end(state, timeout_seconds)
    try:
        if not _is_alive(state):
            return True
        ended = select.poll()
        ended.register(descriptor, select.POLLIN)
        return bool(ended.poll(None if timeout_seconds is None else timeout_seconds * 1000))
    finally:
        os.close(descriptor)


def _poll_for_end(state: dict[str, Any], timeout_seconds: float | None) -> bool:
    """For kernels before 5.3, which have no pidfd_open."""
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    while _is_alive(state):
        if deadline is not None and time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _settle_lost(layout: _Layout, state: dict[str, Any] | None) -> Exit:
    """The supervisor was killed: kill what it left, and write down that nobody saw the end."""
    if state:
        if state["boot"] == proc.boot_id():
            for pid in proc.session_members(state["child"], state["child_started"]):
                proc.kill(pid)
        for directory in state["cgroups"]:
            cgroups.remove_directory(directory)
    lost = Exit(LOST.code, ended_at=time.time())
    with contextlib.suppress(FileNotFoundError):
        layout.write("exit", {"code": lost.code, "out_of_memory": False, "ended_at": lost.ended_at})
    return lost

"""Containers at a Docker engine, as the cloud runs them.

How a container is started (Amazon SageMaker AI developer guide, "How Amazon SageMaker AI Runs Your
Training Image" and "How Amazon SageMaker AI Runs Your Inference Image"):

- `train` or `serve` is the command (`docker run IMAGE train`), or the caller's entry point and
  arguments; the image's user, working directory and stop signal hold; no init process is put in.
- Swap is not granted beyond the memory limit, so that what is killed there is killed here.
- /dev/shm is Docker's 64 MiB for a container that serves, as endpoints have it, and half of the
  memory limit for one that trains, where data loaders share batches.
- A port is published on loopback. With network isolation there is no network at all, or, for a
  container that serves, an internal network that reaches this machine only.
- The hosts of one job are on a bridge network of their own; with network isolation it is an
  internal one. Their addresses are fixed and in /etc/hosts: the engine's DNS forgets a host that
  has ended, and the others may only begin to look for it then.
- Output stays at the engine (`json-file`, no rotation) and is followed into the log file.

On a machine where the plane is not root, files that a container's root left in its mounts are given
back to the user when it has ended.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import math
import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import DeviceRequest, DriverConfig, IPAMConfig, IPAMPool, LogConfig, Mount
from docker.utils import kwargs_from_env

from sagelocal.runtime.docker_logs import LogFollower, Position
from sagelocal.runtime.docker_networks import Networks
from sagelocal.runtime.gpus import gpu_count
from sagelocal.runtime.images import ImageCatalog
from sagelocal.runtime.interface import (
    ContainerSpec,
    Exit,
    Handle,
    JobNetwork,
    Pull,
    PushedNames,
    RuntimeFault,
    RuntimeUnavailable,
)
from sagelocal.runtime.interface import Mount as HostMount
from sagelocal.runtime.overlays import overlays_work
from sagelocal.runtime.ping import engine_host

NAME = "docker"
# What would end a path in the options of an overlay mount.
_SEPARATORS = frozenset(",:\\")
# A container that somebody removed, so that nobody can say how it ended, counts as killed.
LOST = Exit(code=137)

_log = logging.getLogger(__name__)
_LABEL_OWNER, _LABEL_LOG = "sagelocal.folder", "sagelocal.log"
_LABEL_PORT = "sagelocal.port"
# What the engine looks for when it is asked for GPUs and was not told of a runtime for them.
_GPU_HOOK = "nvidia-container-runtime-hook"
# Images that are asked to give files back to their user, if the container's own cannot.
_MOST_HELPERS = 20
_LABEL_SCRATCH = "sagelocal.scratch"
_ISOLATED_NETWORK = "sagelocal-isolated"
_SERVING_SHM_BYTES = 64 * 1024 * 1024
# The engine has no word for "never rotate", and its own default may be small.
_LOG_OPTIONS = {"max-size": "1024t"}
_NANO = 1_000_000_000
_TIMEOUT_SECONDS = 60
_SUBNET_TRIES = 5
# How long the engine may take to take an ended container off its network.
_TAKING_OFF_SECONDS = 20
# Connections to keep; each log that is followed has one of its own.
_MAX_POOL_SIZE = 64


@dataclass
class DockerRuntime:
    """Runs images at the engine of DOCKER_HOST; `folder` holds positions in logs.

    `pushed` knows the images of repositories here: the engine's own name of one that a URI names by
    the digest it got when it was pushed, and what to pull where a registry has it.

    Raises RuntimeUnavailable if no engine answers.
    """

    folder: Path
    images: ImageCatalog
    pushed: PushedNames | None = None
    _references: dict[str, str] = field(default_factory=dict, init=False)
    _addresses: dict[str, str] = field(default_factory=dict, init=False)
    _followers: dict[str, LogFollower] = field(default_factory=dict, init=False)
    _exits: dict[str, Exit] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        self._lock = threading.Lock()
        with _engine_errors():
            found = kwargs_from_env() | {"base_url": engine_host()}
            self._api = docker.APIClient(
                **found,
                version="auto",
                timeout=_TIMEOUT_SECONDS,
                max_pool_size=_MAX_POOL_SIZE,
            )
            self._networks = Networks(self._api)
            self._take_up()

    @property
    def name(self) -> str:
        """`docker`."""
        return NAME

    @property
    def network_interface(self) -> str:
        """What the engine calls a container's only interface besides its loopback."""
        return "eth0"

    @property
    def gpus(self) -> int:
        """This machine's, where the engine has the NVIDIA runtime; one where they are out of sight.

        (Docker Desktop's are in its virtual machine.)
        """
        with contextlib.suppress(RuntimeFault), _engine_errors():
            if "nvidia" in self._api.info()["Runtimes"] or shutil.which(_GPU_HOOK):
                return gpu_count() or 1
        return 0

    def prepare(self, image: str) -> None:
        """Find the image: pull it where a registry has it, else the local image of that very name,
        else that of the family it means.
        """
        with _engine_errors():
            self._references[image] = self._reference(image)

    def labels(self, image: str) -> dict[str, str] | None:
        """The local image's labels, or those of its family, which need not be built yet."""
        family = self.images.resolve(image)
        with _engine_errors():
            pull = self.pushed.to_pull(image) if self.pushed else None
            if pull is not None:
                image = self._pulled(pull)
            for reference in (image, *([family.tag] if family else [])):
                with contextlib.suppress(NotFound):
                    found = self._api.inspect_image(reference)  # type: ignore[no-untyped-call]
                    return dict(found["Config"].get("Labels") or {})
        return self.images.labels(family) if family else None

    def version_note(self, image: str) -> str | None:
        """Where the name's version is not the family's, and it is the family's image that runs.

        It may be so under the very name that was asked for: SDK local mode has it tagged.
        """
        family = self.images.resolve(image)
        if family is None:
            return None
        with _engine_errors():
            runs = self._image_id(self._references.get(image, image))
            return self.images.version_note(image) if runs == self._image_id(family.tag) else None

    def can_overlay(self, folder: Path) -> bool:
        """The engine mounts as root; what this user may try tells what the file system can."""
        plain = not _SEPARATORS.intersection(str(folder.resolve()))
        return plain and engine_host().startswith("unix://") and overlays_work(folder)

    def start(self, spec: ContainerSpec) -> Handle:
        """Create and start it; one of the same name, left by a killed plane, is replaced."""
        if spec.image not in self._references:
            self.prepare(spec.image)
        position = Position(self._position_path(spec.name))
        with _engine_errors():
            self._discard(spec.name)
            position.begin(spec.log_path)
            container = self._create(spec)
            try:
                self._api.start(container)
            except BaseException as error:
                self._discard(container)
                position.forget()
                if isinstance(error, APIError):
                    raise _start_fault(spec, error) from error
                raise
        with self._lock:
            self._followers[container] = LogFollower(
                self._api, container, spec.log_path.resolve(), position
            )
        return Handle(NAME, container)

    def wait(self, handle: Handle, timeout_seconds: float | None = None) -> Exit | None:
        """Its exit, once the engine has handed out the last line of its log."""
        with _engine_errors():
            follower = self._follower(handle.id)
            if follower is None:
                return LOST
            if not follower.wait(timeout_seconds):
                return None
            return self._exit(handle.id)

    def stop(self, handle: Handle, grace_seconds: float) -> Exit:
        """The image's stop signal (SIGTERM unless it says so), the grace, SIGKILL."""
        with _engine_errors(), contextlib.suppress(NotFound):
            self._api.stop(handle.id, timeout=math.ceil(grace_seconds))
        return self.wait(handle) or LOST

    def address(self, handle: Handle) -> str | None:
        """Where its port is published, or its own address on the isolated network."""
        follower = self._followers.get(handle.id)
        if follower is not None and follower.has_ended:
            return None
        if handle.id not in self._addresses:
            with _engine_errors():
                found = self._find_address(handle.id)
            if found is None:
                return None
            self._addresses[handle.id] = found
        return self._addresses[handle.id]

    def host_address(self) -> str:
        """The bridge's address here, or Docker Desktop's name for this machine."""
        with _engine_errors():
            return self._networks.host_address()

    def is_container(self, address: str) -> bool:
        """Whether it lies in a network of the engine; False while no engine answers."""
        with contextlib.suppress(RuntimeFault), _engine_errors():
            return self._networks.contains(address)
        return False

    def remove(self, handle: Handle) -> None:
        """Kill and remove the container with what the engine kept of it."""
        with _engine_errors():
            self._discard(handle.id)

    def remove_network(self, name: str) -> None:
        """Remove a job's network, and what a killed plane left on it."""
        with _engine_errors():
            for found in self._api.networks(names=[name]):
                # The filter takes any part of a name for a match.
                if found["Name"] == name:
                    self._remove_network(found["Id"])

    def close(self) -> None:
        """Stop following; the next runtime goes on where the log files end."""
        with self._lock:
            for follower in self._followers.values():
                follower.close()
        self._api.close()

    # -- images ---------------------------------------------------------------------------------

    def _reference(self, image: str) -> str:
        pull = self.pushed.to_pull(image) if self.pushed else None
        if pull is not None:
            return self._pulled(pull)
        if self._is_local(image):
            return image
        pushed = self.pushed.engine_name(image) if self.pushed else None
        if pushed is not None and self._is_local(pushed):
            return pushed
        family = self.images.resolve(image)
        if family is None:
            raise self.images.unknown(
                image,
                f"Make an image of your own known to the engine: `docker pull {image}` or "
                f"`docker build -t {image} .`",
            )
        if not self._is_local(family.tag):
            raise self.images.unknown(
                image,
                f"It means {family.tag}, which is not built: `{self.images.how_to_build(family)}`.",
            )
        return family.tag

    def _pulled(self, pull: Pull) -> str:
        """Whatever a tag is on by now, as the cloud has it."""
        login = {"username": pull.user, "password": pull.password} if pull.user else {}
        try:
            for event in self._api.pull(
                pull.reference, stream=True, decode=True, auth_config=login
            ):
                if "error" in event:
                    raise RuntimeFault(f"{pull.reference} cannot be pulled: {event['error']}")
        except APIError as error:
            raise RuntimeFault(
                f"{pull.reference} cannot be pulled: {_explanation(error)}. `aws ecr list-images` "
                "says what is in the repository."
            ) from error
        return pull.reference

    def _is_local(self, reference: str) -> bool:
        return self._image_id(reference) is not None

    def _image_id(self, reference: str) -> str | None:
        """What the engine calls the image itself; None if there is none of that name."""
        try:
            found = self._api.inspect_image(reference)  # type: ignore[no-untyped-call]  # lacks it in its stubs
        except NotFound:
            return None
        return str(found["Id"])

    # -- starting -------------------------------------------------------------------------------

    def _create(self, spec: ContainerSpec) -> str:
        try:
            created = self._api.create_container(
                image=self._references[spec.image],
                name=spec.name,
                entrypoint=list(spec.entrypoint) if spec.entrypoint else None,
                command=list(spec.arguments) or None,
                environment=spec.variables,
                hostname=spec.hostname,
                ports=[*([spec.port] if spec.port is not None else []), *spec.published_ports]
                or None,
                labels=self._labels(spec),
                host_config=self._host_config(spec),
                networking_config=self._networking(spec),
            )
        except ImageNotFound:
            # It was there when it was prepared; this says what is known now.
            del self._references[spec.image]
            self._reference(spec.image)
            raise
        except APIError as error:
            raise _start_fault(spec, error) from error
        return str(created["Id"])

    def _labels(self, spec: ContainerSpec) -> dict[str, str]:
        return {
            **{f"sagelocal.{key}": value for key, value in spec.labels.items()},
            _LABEL_OWNER: str(self.folder),
            _LABEL_LOG: str(spec.log_path.resolve()),
            _LABEL_SCRATCH: json.dumps(
                [str(m.scratch.resolve()) for m in spec.mounts if m.scratch]
            ),
            **({_LABEL_PORT: str(spec.port)} if spec.port is not None else {}),
        }

    def _host_config(self, spec: ContainerSpec) -> dict[str, Any]:
        shm_bytes = _SERVING_SHM_BYTES
        if spec.port is None and spec.memory_bytes:
            shm_bytes = max(shm_bytes, spec.memory_bytes // 2)
        published = spec.port is not None and not spec.network_isolation
        return self._api.create_host_config(
            mounts=[_mount(mount) for mount in spec.mounts],
            port_bindings={
                **({str(spec.port): _published(spec.host_port)} if published else {}),
                **{str(port): ("127.0.0.1", port) for port in spec.published_ports},
            },
            network_mode=self._network(spec),
            extra_hosts=self._host_addresses(spec),
            mem_limit=spec.memory_bytes,
            memswap_limit=spec.memory_bytes,
            nano_cpus=self._nano_cpus(spec.cpus),
            shm_size=shm_bytes,
            log_config=LogConfig(type=LogConfig.types.JSON, config=_LOG_OPTIONS),
            init=False,
            device_requests=[DeviceRequest(count=spec.gpus, capabilities=[["gpu"]])]
            if spec.gpus
            else None,
        )

    def _network(self, spec: ContainerSpec) -> str | None:
        if spec.network:
            return self._job_network(spec.network, internal=spec.network_isolation)
        if not spec.network_isolation:
            return None
        if _is_alone(spec):
            return "none"
        if not self._api.networks(names=[_ISOLATED_NETWORK]):
            self._api.create_network(_ISOLATED_NETWORK, driver="bridge", internal=True)
        return _ISOLATED_NETWORK

    def _job_network(self, network: JobNetwork, *, internal: bool) -> str:
        found = self._api.networks(names=[network.name])
        if any(other["Name"] == network.name for other in found):
            return network.name
        create = functools.partial(
            self._api.create_network,
            network.name,
            driver="bridge",
            internal=internal,
            labels={_LABEL_OWNER: str(self.folder)},
        )
        # Addresses may be fixed only where the subnet was asked for, and only the engine knows
        # which one is free: let it choose, then ask for that one.
        for tries_left in reversed(range(_SUBNET_TRIES)):
            chosen = create()["Id"]
            subnet = self._subnet(chosen)
            self._api.remove_network(chosen)
            try:
                create(ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet))]))
                break
            except APIError:
                # Somebody else may have got it in between.
                if not tries_left:
                    raise
        return network.name

    def _subnet(self, network: str) -> IPv4Network:
        (pool,) = self._api.inspect_network(network)["IPAM"]["Config"]
        return IPv4Network(pool["Subnet"])

    def _addresses_on(self, network: JobNetwork) -> dict[str, str]:
        """Of each host; the subnet's first address is the gateway's."""
        subnet = self._subnet(network.name)
        if len(network.hosts) > subnet.num_addresses - 3:
            raise RuntimeFault(f"{len(network.hosts)} hosts do not fit into the subnet {subnet}.")
        return {host: str(subnet[place]) for place, host in enumerate(network.hosts, start=2)}

    def _host_addresses(self, spec: ContainerSpec) -> dict[str, str] | None:
        """For /etc/hosts, where the engine itself puts a name only if there is a network."""
        if spec.network:
            return self._addresses_on(spec.network)
        return {spec.hostname: "127.0.0.1"} if _is_alone(spec) and spec.hostname else None

    def _networking(self, spec: ContainerSpec) -> dict[str, Any] | None:
        if not spec.network:
            return None
        address = self._addresses_on(spec.network).get(spec.hostname or "")
        endpoint = self._api.create_endpoint_config(ipv4_address=address)
        return {"EndpointsConfig": {spec.network.name: endpoint}}

    def _remove_network(self, network: str) -> None:
        """While a container is on it, the engine refuses: such a one nobody has a handle of.

        It refuses for a moment longer, while it takes one off that has just ended.
        """
        deadline = time.monotonic() + _TAKING_OFF_SECONDS
        while True:
            try:
                for container in self._api.inspect_network(network)["Containers"] or ():
                    self._discard(container)
                self._api.remove_network(network)
            except NotFound:
                return
            except APIError as error:
                if error.status_code != HTTPStatus.FORBIDDEN or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def _nano_cpus(self, cpus: float | None) -> int | None:
        """The engine refuses more than its machine has."""
        if cpus is None:
            return None
        return int(min(cpus, self._api.info()["NCPU"]) * _NANO)

    # -- following ------------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Follow the logs of what an earlier plane with this folder started."""
        for found in self._api.containers(
            all=True, filters={"label": f"{_LABEL_OWNER}={self.folder}"}
        ):
            if found["State"] == "created":
                # The plane was killed before it started it, and nobody has a handle.
                self._discard(found["Id"])
            else:
                self._follower(found["Id"])

    def _follower(self, container: str) -> LogFollower | None:
        """The container's follower, started if this runtime has none; None if it is gone."""
        with self._lock:
            if container in self._followers:
                return self._followers[container]
            try:
                found = self._api.inspect_container(container)
            except NotFound:
                return None
            position = Position(self._position_path(found["Name"].lstrip("/")))
            log_path = Path(found["Config"]["Labels"][_LABEL_LOG])
            follower = LogFollower(self._api, container, log_path, position)
            self._followers[container] = follower
            return follower

    def _position_path(self, name: str) -> Path:
        return self.folder / f"{name}.position"

    # -- ending ---------------------------------------------------------------------------------

    def _exit(self, container: str) -> Exit:
        with self._lock:
            if container in self._exits:
                return self._exits[container]
        try:
            found = self._api.inspect_container(container)
        except NotFound:
            return LOST
        if os.geteuid() != 0:
            self._give_back(found)
        state = found["State"]
        ended = Exit(
            code=state["ExitCode"],
            out_of_memory=state["OOMKilled"],
            ended_at=datetime.fromisoformat(state["FinishedAt"]).timestamp(),
        )
        with self._lock:
            self._exits[container] = ended
        return ended

    def _find_address(self, container: str) -> str | None:
        try:
            found = self._api.inspect_container(container)
        except NotFound:
            return None
        if not found["State"]["Running"]:
            return None
        port = found["Config"]["Labels"].get(_LABEL_PORT)
        isolated = found["NetworkSettings"]["Networks"].get(_ISOLATED_NETWORK)
        if port and isolated:
            # The engine lists no ports of a container on an internal network.
            return f"http://{isolated['IPAddress']}:{port}"
        for bindings in found["NetworkSettings"]["Ports"].values():
            if bindings:
                return f"http://{bindings[0]['HostIp']}:{bindings[0]['HostPort']}"
        return None

    def _discard(self, name: str) -> None:
        """Remove a container by id or name, if it is there, and what belongs to it here."""
        try:
            found = self._api.inspect_container(name)
            self._api.remove_container(found["Id"], v=True, force=True)
        except NotFound:
            return
        except APIError as error:
            if error.status_code != requests.codes.conflict:
                raise
            return  # Somebody else is removing it at this moment.
        with self._lock:
            follower = self._followers.pop(found["Id"], None)
            self._exits.pop(found["Id"], None)
            self._addresses.pop(found["Id"], None)
        if follower:
            follower.wait(_TIMEOUT_SECONDS)
        Position(self._position_path(found["Name"].lstrip("/"))).forget()

    def _give_back(self, found: Mapping[str, Any]) -> None:
        """Make the user the owner of what a container's root left in writable mounts."""
        mounts = [
            Mount(mount["Destination"], mount["Source"], "bind")
            for mount in found["Mounts"]
            if mount["Type"] == "bind" and mount["RW"] and _has_foreign_files(mount["Source"])
        ]
        scratches = json.loads(found["Config"]["Labels"].get(_LABEL_SCRATCH, "[]"))
        mounts += [Mount(scratch, scratch, "bind") for scratch in scratches]
        if not mounts:
            return
        # An image may hold nothing but its program; then another one has to help.
        others = [found["Image"], *(image["Id"] for image in self._api.images())]
        for image in others[:_MOST_HELPERS]:
            if self._chown(image, mounts):
                return
        _log.warning("files of %s stay root's: no image here has a chown", found["Name"])

    def _chown(self, image: str, mounts: list[Mount]) -> bool:
        """Whether an image could make the mounts' files the user's."""
        helper = self._api.create_container(
            image=image,
            entrypoint=["chown", "-R", "-h", f"{os.getuid()}:{os.getgid()}"],
            command=[str(mount["Target"]) for mount in mounts],
            user="0",
            host_config=self._api.create_host_config(mounts=mounts, network_mode="none"),
        )["Id"]
        try:
            self._api.start(helper)
            return bool(self._api.wait(helper)["StatusCode"] == 0)
        except APIError:
            return False
        finally:
            self._api.remove_container(helper, force=True)


def _mount(mount: HostMount) -> Mount:
    """A bind mount, or a volume that the engine mounts as an overlay while the container runs."""
    source = str(mount.source.resolve())
    if mount.scratch is None:
        return Mount(mount.target, source, "bind", read_only=mount.read_only)
    upper, work = mount.scratch.resolve() / "upper", mount.scratch.resolve() / "work"
    for folder in (upper, work):
        folder.mkdir(parents=True, exist_ok=True)
    # Volatile: nothing is synced when the container ends; nobody reads the layers again.
    layers = f"lowerdir={source},upperdir={upper},workdir={work},volatile"
    options = {"type": "overlay", "device": "overlay", "o": layers}
    return Mount(
        mount.target, None, "volume", no_copy=True, driver_config=DriverConfig("local", options)
    )


def _published(host_port: int | None) -> tuple[str] | tuple[str, int]:
    """On loopback; without a port the engine finds one."""
    return ("127.0.0.1",) if host_port is None else ("127.0.0.1", host_port)


def _is_alone(spec: ContainerSpec) -> bool:
    """Isolated, and reached by nobody."""
    return spec.network_isolation and spec.port is None and spec.network is None


def _has_foreign_files(source: str) -> bool:
    own = os.getuid()
    for folder, folders, names in os.walk(source):
        for name in (".", *folders, *names):
            with contextlib.suppress(FileNotFoundError):
                if os.lstat(os.path.join(folder, name)).st_uid != own:
                    return True
    return False


def _explanation(error: APIError) -> str:
    return str(error.explanation or error)


def _start_fault(spec: ContainerSpec, error: APIError) -> RuntimeFault:
    return RuntimeFault(
        f"The container of image {spec.image!r} cannot be started: {_explanation(error)}"
    )


@contextlib.contextmanager
def _engine_errors() -> Iterator[None]:
    """Turn the client's errors into the runtime's."""
    try:
        yield
    except APIError as error:
        raise RuntimeFault(f"The Docker engine refused: {_explanation(error)}") from error
    except (DockerException, requests.RequestException) as error:
        raise RuntimeUnavailable(
            f"No Docker engine answers at {engine_host()} ({_cause(error)}). Start it, set "
            "DOCKER_HOST, or run without Docker: `sagelocal up --runtime process`."
        ) from error


def _cause(error: BaseException) -> str:
    """What the system said, below the layers of clients that each tell it again."""
    root = error
    while root.__context__ is not None:
        root = root.__context__
    return (root.strerror if isinstance(root, OSError) else None) or str(error)

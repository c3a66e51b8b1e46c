"""The two places where containers run, each with the same probe image."""

from __future__ import annotations

import contextlib
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sagelocal.runtime.docker import DockerRuntime
from sagelocal.runtime.images import ImageCatalog
from sagelocal.runtime.interface import ContainerSpec, Exit, Handle, Mount, Runtime
from sagelocal.runtime.process import ProcessRuntime

HERE = Path(__file__).parent
IMAGE = "sagelocal/probe:test"


@dataclass
class Place:
    """A folder on which runtimes of one kind are opened, as planes come and go."""

    kind: str
    folder: Path
    environments: Path
    runtime: Runtime = field(init=False)
    _handles: list[Handle] = field(default_factory=list)
    _opened: list[Runtime] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runtime = self.open()

    def open(self) -> Runtime:
        """What the next plane's life has."""
        images = ImageCatalog.load(HERE / "containers")
        runtime: Runtime = (
            DockerRuntime(self.folder / "docker", images)
            if self.kind == "docker"
            else ProcessRuntime(self.folder / "processes", images, self.environments)
        )
        self._opened.append(runtime)
        return runtime

    def log_path(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def spec(self, *arguments: str, **changes: Any) -> ContainerSpec:
        name = changes.pop("name", None) or f"sagelocal-test-{uuid.uuid4().hex[:12]}"
        return ContainerSpec(
            name=name,
            image=changes.pop("image", IMAGE),
            log_path=self.log_path(name),
            mounts=changes.pop("mounts", ()),
            arguments=arguments,
            **changes,
        )

    def start(self, *arguments: str, **changes: Any) -> Handle:
        return self.start_spec(self.spec(*arguments, **changes))

    def start_spec(self, spec: ContainerSpec) -> Handle:
        handle = self.runtime.start(spec)
        self.keep(handle)
        return handle

    def keep(self, handle: Handle) -> None:
        """Remove it when the test is over."""
        self._handles.append(handle)

    def run(self, *arguments: str, **changes: Any) -> tuple[Exit, list[str]]:
        """Its exit and the text of its log's lines."""
        spec = self.spec(*arguments, **changes)
        ended = self.runtime.wait(self.start_spec(spec), 60)
        assert ended is not None
        return ended, self.lines(spec)

    def lines(self, spec: ContainerSpec) -> list[str]:
        """The text of each whole line in the log so far."""
        if not spec.log_path.exists():
            return []
        raw = spec.log_path.read_bytes().decode().split("\n")[:-1]
        return [line.partition("\t")[2] for line in raw]

    def mount(self, target: str, files: Mapping[str, str] = {}, read_only: bool = False) -> Mount:
        source = self.folder / f"mount-{uuid.uuid4().hex[:8]}"
        source.mkdir()
        for name, text in files.items():
            (source / name).write_text(text)
        return Mount(source, target, read_only)

    def close(self) -> None:
        for handle in self._handles:
            self.runtime.remove(handle)
        for runtime in self._opened:
            runtime.close()


@pytest.fixture(scope="session")
def probe_image() -> str:
    """The probe as a Docker image on the base, which `make base image-base` builds."""
    context = HERE / "containers" / "probe"
    done = subprocess.run(
        ["docker", "build", "--quiet", "--tag", IMAGE, str(context)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.fail(f"the probe image cannot be built (`make image-base` first): {done.stderr}")
    return IMAGE


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache of virtual environments for all tests."""
    return tmp_path_factory.mktemp("environments")


@pytest.fixture
def process_place(tmp_path: Path, environments: Path) -> Iterator[Place]:
    """The process runtime."""
    with contextlib.closing(Place("process", tmp_path, environments)) as place:
        yield place


@pytest.fixture
def docker_place(tmp_path: Path, environments: Path, probe_image: str) -> Iterator[Place]:
    """The Docker runtime, with the probe image built."""
    with contextlib.closing(Place("docker", tmp_path, environments)) as place:
        yield place


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def place(request: pytest.FixtureRequest) -> Place:
    """Each runtime in turn."""
    found: Place = request.getfixturevalue(f"{request.param}_place")
    return found


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Any]:
    """Wait until a function gives something true, and return that."""

    def wait(probe: Callable[[], Any], timeout_seconds: float = 30) -> Any:
        deadline = time.monotonic() + timeout_seconds
        while not (found := probe()):
            assert time.monotonic() < deadline, "it did not come true in time"
            time.sleep(0.01)
        return found

    return wait

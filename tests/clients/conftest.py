"""A plane started as a user starts one, and clients' code run under `sagelocal exec`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sagelocal.cli.client_environment import client_environment

from tests.clients.warm import warm

SAGELOCAL = Path(sys.executable).with_name("sagelocal")
NOBODY = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""An AWS user whom no service knows."""
RUNTIMES = ["process", pytest.param("docker", marks=pytest.mark.docker)]


def reported(printed: str) -> Any:
    """The JSON that a program prints as its last line."""
    return json.loads(printed.strip().splitlines()[-1])


@dataclass(frozen=True)
class Terminal:
    """A terminal with a plane of its own, the clients' Python and the folder of their programs."""

    data: Path
    runtime: str
    clients: Path
    programs: Path

    def sagelocal(self, *arguments: str | Path, check: bool = True) -> str:
        """Run a sagelocal command; what it printed, errors included."""
        done = subprocess.run(
            [SAGELOCAL, *arguments],
            env={**os.environ, "SAGELOCAL_DATA": str(self.data), "SAGELOCAL_RUNTIME": self.runtime},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert not check or done.returncode == 0, done.stdout
        return done.stdout

    def python(self, code: str, *arguments: str | Path) -> str:
        """Run clients' code under `sagelocal exec`; what it printed."""
        return self.sagelocal(
            "exec", "--", self.clients, "-W", "ignore", "-c", code, *map(str, arguments)
        )

    def notebook(self, script: Path, *arguments: object) -> tuple[Any, str]:
        """What a user's script reports under `sagelocal exec`, and all that is printed."""
        command: list[str | Path] = [self.clients, "-W", "ignore", script, *map(str, arguments)]
        printed = self.sagelocal("exec", "--", *command)
        return reported(printed), printed

    @contextmanager
    def running(self) -> Iterator[Terminal]:
        """The plane is up."""
        self.sagelocal("up", "--port", "0")
        try:
            yield self
        finally:
            self.sagelocal("down")


@dataclass(frozen=True)
class LocalMode:
    """The SDK's own local mode: docker-compose, no control plane, nothing of the developer's."""

    folder: Path
    home: Path
    clients: Path
    programs: Path

    def __call__(self, script: Path, *arguments: str | Path) -> str:
        """Run a user's script with a home of its own; the last line that it printed."""
        settings = self.home / ".sagemaker" / "config.yaml"
        settings.parent.mkdir(exist_ok=True)
        # The port is 8080 otherwise, and tests run beside one another.
        settings.write_text(
            f"local:\n  local_code: true\n  container_root: {self.folder}\n"
            f"  serving_port: {free_port()}\n"
        )
        done = subprocess.run(
            [self.clients, "-W", "ignore", script, *arguments],
            env={
                "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}",
                "HOME": str(self.home),
                **NOBODY,
            },
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
        return done.stdout.strip().splitlines()[-1]


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def warm_python(tmp_path_factory: pytest.TempPathFactory, clients_python: Path) -> Iterator[Path]:
    """The clients' Python below `sagelocal exec`, with the SDK imported once for all tests."""
    environment = client_environment("http://127.0.0.1:9", os.environ)
    with warm(clients_python, tmp_path_factory.mktemp("warm"), environment) as python:
        yield python


@pytest.fixture(scope="session")
def make_local_mode(
    tmp_path_factory: pytest.TempPathFactory, clients_python: Path
) -> Iterator[Callable[[Path], LocalMode]]:
    """`make_local_mode(folder)`: nothing of ours is there, no control plane, no start-up hook."""
    folder = tmp_path_factory.mktemp("warm_local_mode")
    # While it is imported, the SDK learns where its settings lie.
    home = {**NOBODY, "HOME": str(folder)}
    with warm(clients_python, folder, home) as python:
        yield lambda place: LocalMode(place, folder, python, clients_python.parent)


@pytest.fixture
def local_mode(tmp_path: Path, make_local_mode: Callable[[Path], LocalMode]) -> LocalMode:
    """`local_mode(script, *arguments)`; what it leaves lies in the test's own folder."""
    return make_local_mode(tmp_path)


@pytest.fixture(scope="session")
def make_terminal(warm_python: Path, clients_python: Path) -> Callable[[Path, str], Terminal]:
    """`make_terminal(data, runtime)`, for a test that starts and ends its plane itself."""
    return lambda data, runtime: Terminal(data, runtime, warm_python, clients_python.parent)


@pytest.fixture(scope="module")
def terminal(
    tmp_path_factory: pytest.TempPathFactory, make_terminal: Callable[[Path, str], Terminal]
) -> Iterator[Terminal]:
    """A plane on the process runtime, for the tests of one module."""
    with make_terminal(tmp_path_factory.mktemp("plane") / "data", "process").running() as terminal:
        yield terminal


@pytest.fixture(scope="module", params=RUNTIMES)
def place(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    make_terminal: Callable[[Path, str], Terminal],
) -> Iterator[Terminal]:
    """A plane on each runtime in turn, for the tests of one module."""
    data = tmp_path_factory.mktemp("plane") / "data"
    with make_terminal(data, request.param).running() as terminal:
        yield terminal


@pytest.fixture
def framework_local_mode(terminal: Terminal) -> Callable[..., str]:
    """`framework_local_mode(script, *arguments)`: the last line of a script in SDK local mode.

    A plane stands beside it: the frameworks' deploy() asks STS for the account in local mode, too.
    """

    def run(script: Path, *arguments: Path) -> str:
        command: list[str | Path] = [terminal.clients, "-W", "ignore", script, *arguments]
        return terminal.sagelocal("exec", "--", *command).strip().splitlines()[-1]

    return run

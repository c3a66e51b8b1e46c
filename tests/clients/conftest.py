"""A plane started as a user starts one, and clients' code run under `sagelocal exec`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SAGELOCAL = Path(sys.executable).with_name("sagelocal")


@dataclass(frozen=True)
class Terminal:
    """A terminal with a plane of its own and the clients' Python."""

    data: Path
    runtime: str
    clients: Path

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


@dataclass(frozen=True)
class LocalMode:
    """The SDK's own local mode: docker-compose, no control plane, nothing of the developer's."""

    folder: Path
    clients: Path

    def __call__(self, script: Path, *arguments: str | Path) -> str:
        """Run a user's script with a home of its own; the last line that it printed."""
        settings = self.folder / ".sagemaker" / "config.yaml"
        settings.parent.mkdir(exist_ok=True)
        # The port is 8080 otherwise, and tests run beside one another.
        settings.write_text(
            f"local:\n  local_code: true\n  container_root: {self.folder}\n"
            f"  serving_port: {free_port()}\n"
        )
        done = subprocess.run(
            [self.clients, "-W", "ignore", script, *arguments],
            env={
                "PATH": f"{self.clients.parent}{os.pathsep}{os.environ['PATH']}",
                "HOME": str(self.folder),
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "x",
                "AWS_SECRET_ACCESS_KEY": "x",
                "AWS_EC2_METADATA_DISABLED": "true",
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


@pytest.fixture
def local_mode(tmp_path: Path, clients_python: Path) -> LocalMode:
    """`local_mode(script, *arguments)`; what it leaves lies in the test's own folder."""
    return LocalMode(tmp_path, clients_python)


@pytest.fixture(scope="session")
def make_terminal(clients_python: Path) -> Callable[[Path, str], Terminal]:
    """`make_terminal(data, runtime)`, for a test that starts and ends its plane itself."""
    return lambda data, runtime: Terminal(data, runtime, clients_python)


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory, clients_python: Path) -> Iterator[Terminal]:
    """A plane on the process runtime, for the tests of one module."""
    terminal = Terminal(tmp_path_factory.mktemp("plane") / "data", "process", clients_python)
    terminal.sagelocal("up", "--port", "0")
    yield terminal
    terminal.sagelocal("down")

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


@pytest.fixture(scope="session")
def make_terminal(clients_python: Path) -> Callable[[Path, str], Terminal]:
    """`make_terminal(data, runtime)`, for a test that starts and ends its plane itself."""
    return lambda data, runtime: Terminal(data, runtime, clients_python)


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory, clients_python: Path) -> Iterator[Terminal]:
    """A plane on the process runtime, for the tests of one module."""
    terminal = Terminal(tmp_path_factory.mktemp("plane") / "data", "process", clients_python)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    terminal.sagelocal("up", "--port", str(port))
    yield terminal
    terminal.sagelocal("down")

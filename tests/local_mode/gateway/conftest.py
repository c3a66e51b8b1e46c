"""A real server around `small_plane.py`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

PROGRAM = Path(__file__).with_name("small_plane.py")


class Server:
    """One process that serves, from start to its end."""

    def __init__(self, folder: Path, data_dir: Path, port: int = 0, *arguments: str) -> None:
        self.data_dir = data_dir
        self._log_path = folder / f"server-{len(list(folder.glob('*.log')))}.log"
        with self._log_path.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, PROGRAM, str(data_dir), str(port), *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        with self.process.stdout:
            self.url = self.process.stdout.readline().strip()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, service: str, **settings: Any) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="eu-west-1",
            aws_access_key_id="sagelocal",
            aws_secret_access_key="sagelocal",
            config=Config(retries={"total_max_attempts": 1}, **settings),
        )

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def ask(self, text: str) -> bytes:
        """What the server says to these bytes, to the end of the connection."""
        with self.connect() as connection:
            connection.sendall(text.replace("\n", "\r\n").encode())
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def worker_pid(self) -> int:
        """The process that answers, once there is one."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        deadline = time.monotonic() + 10
        while not children.read_text() and time.monotonic() < deadline:
            time.sleep(0.01)
        return int(children.read_text().split()[0])

    def log(self) -> str:
        """What it wrote to stderr so far."""
        return self._log_path.read_text()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(timeout=30)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers: `start(data_dir, port)`, each a fresh directory and any port if unset."""
    servers: list[Server] = []

    def start_one(data_dir: Path | None = None, port: int = 0, *arguments: str) -> Server:
        directory = data_dir or tmp_path / f"data-{len(servers)}"
        server = Server(tmp_path, directory, port, *arguments)
        servers.append(server)
        return server

    yield start_one
    for server in servers:
        server.end()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all the tests of a module."""
    folder = tmp_path_factory.mktemp("server")
    server = Server(folder, folder / "data")
    yield server
    server.end()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Waits until a condition holds, at most ten seconds."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline, "it never came to pass"
            time.sleep(0.01)

    return wait


@pytest.fixture
def is_alive() -> Callable[[int], bool]:
    def alive(pid: int) -> bool:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return False
        return state != "Z"

    return alive

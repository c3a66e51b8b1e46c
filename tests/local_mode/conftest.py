"""A real control plane in a process of its own, and real clients for it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import boto3
import pytest
from botocore.config import Config

REGION = "us-east-1"

_SERVE = """
import json, sys
from pathlib import Path
from sagelocal.gateway.server import serve
from sagelocal.settings import Settings

settings = json.loads(sys.argv[1])
for name in set(settings):
    if name.endswith("_dir") or name == "ecr_password_file":
        settings[name] = Path(settings[name])
serve(Settings(**settings), lambda url: print(url, flush=True))
"""


class LocalPlane:
    """A plane that runs, can be killed, and can be started again on its data and its port."""

    def __init__(self, data_dir: Path, **settings: Any) -> None:
        self.data_dir = data_dir
        self.log_path = data_dir.with_name(data_dir.name + ".log")
        self._settings = {"runtime": "process", "port": 0, **settings}
        self._process: subprocess.Popen[str] | None = None
        self._log: TextIO | None = None
        self.url = ""
        self.start()

    @property
    def pid(self) -> int:
        """The process to signal; what the plane says of itself too."""
        assert self._process is not None
        return self._process.pid

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = {**self._settings, "data_dir": self.data_dir}
        self._log = self.log_path.open("a")
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, json.dumps(settings, default=str)],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        self._settings["port"] = self.port if self.url else self._settings["port"]
        self._await_health()

    def health(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.url + "/_sagelocal/health", timeout=5) as answer:
            document: dict[str, Any] = json.load(answer)
        return document

    def client(self, service: str, **settings: Any) -> Any:
        """A boto3 client with dummy keys that does not retry; settings go to botocore's Config."""
        config = Config(retries={"total_max_attempts": 1}, read_timeout=70).merge(
            Config(**settings)
        )
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="sagelocal",
            aws_secret_access_key="sagelocal",
            config=config,
        )

    def kill(self) -> None:
        """SIGKILL, as a crash; containers go on running."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, as `sagelocal down`; containers go on running."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Kill it and start it again on the same data and port."""
        self.kill()
        self.start()

    def log(self) -> str:
        return self.log_path.read_text()

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        self._process.wait(timeout=30)
        assert self._process.stdout is not None
        self._process.stdout.close()
        assert self._log is not None
        self._log.close()
        self._process = None

    def _await_health(self) -> None:
        deadline = time.monotonic() + 30
        while self.url and time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                self.health()
                return
            time.sleep(0.01)
        log = self.log()
        self.kill()
        pytest.fail(f"the plane does not answer:\n{log}")


def _kill_what_runs_from(folder: Path) -> None:
    """Containers outlive their plane; those of a test must not outlive the test."""
    needle = str(folder).encode()
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            if needle in told or needle in os.readlink(process / "cwd").encode():
                os.kill(int(process.name), signal.SIGKILL)


@contextlib.contextmanager
def _planes_in(folder: Path) -> Iterator[Callable[..., LocalPlane]]:
    planes: list[LocalPlane] = []

    def start(data_dir: Path | None = None, **settings: Any) -> LocalPlane:
        plane = LocalPlane(data_dir or folder / f"plane-{len(planes)}", **settings)
        planes.append(plane)
        return plane

    yield start
    for plane in planes:
        plane.stop()
        _kill_what_runs_from(plane.data_dir)


@pytest.fixture
def start_plane(tmp_path: Path) -> Iterator[Callable[..., LocalPlane]]:
    """Starts planes with any settings (`start_plane(ping_timeout_seconds=1)`)."""
    with _planes_in(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def start_shared_plane(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., LocalPlane]]:
    """The same, for a plane that all tests of a module use, each with names of its own."""
    with _planes_in(tmp_path_factory.mktemp("planes")) as start:
        yield start


@pytest.fixture(scope="module")
def start_plane_for_all(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., LocalPlane]]:
    """Starts planes that live as long as the tests of one module."""
    planes: list[LocalPlane] = []

    def start(**settings: Any) -> LocalPlane:
        planes.append(LocalPlane(tmp_path_factory.mktemp("plane") / "data", **settings))
        return planes[-1]

    yield start
    for plane in planes:
        plane.stop()
        _kill_what_runs_from(plane.data_dir)


@pytest.fixture
def plane(start_plane: Callable[..., LocalPlane]) -> LocalPlane:
    """A fresh plane on the process runtime: `.url`, `.client(service)`, `.kill()`, `.restart()`."""
    return start_plane()


@pytest.fixture
def aws(plane: LocalPlane) -> Callable[..., Any]:
    """`aws("s3")` is a boto3 client of the fresh plane."""
    return plane.client

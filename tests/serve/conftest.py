"""A real server for every test that wants one: the console script `serve` on a port of its own."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HANDLERS = Path(__file__).parent / "handlers"
DEADLINE_SECONDS = 120.0


@dataclass(frozen=True)
class Answer:
    """What a server said."""

    status: int
    headers: dict[str, str]
    body: bytes


class ServeProcess:
    """`serve` as a child process with its log; starts at once, listens when `port` returns."""

    def __init__(
        self, command: list[str | Path], environment: dict[str, str], folder: Path
    ) -> None:
        self.process = subprocess.Popen(
            command,
            env={**_clean_environment(), **environment},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._grown = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def log(self) -> str:
        return "".join(self.lines)

    @property
    def port(self) -> int:
        found = self.wait_for_line(r"Listening on \S+ port (\d+)")
        return int(found[1])

    def wait_for_line(self, pattern: str, times: int = 1) -> re.Match[str]:
        """The n-th line that matches, as soon as it is logged."""

        def found() -> list[re.Match[str]]:
            return [m for line in self.lines if (m := re.search(pattern, line))]

        with self._grown:
            if not self._grown.wait_for(lambda: len(found()) >= times, DEADLINE_SECONDS):
                pytest.fail(f"no {times} lines {pattern!r} in the log:\n{self.log}")
        return found()[times - 1]

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_SECONDS)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        connection = self.connect()
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def invoke(self, body: bytes, content_type: str = "text/plain", **headers: str) -> Answer:
        return self.request("POST", "/invocations", body, {"Content-Type": content_type, **headers})

    def wait_until_ready(self) -> ServeProcess:
        wait_until(lambda: self.request("GET", "/ping").status == 200)
        return self

    def terminate(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        status = self.process.wait(DEADLINE_SECONDS)
        self._reader.join(DEADLINE_SECONDS)
        return status

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(DEADLINE_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(DEADLINE_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._grown:
                self.lines.append(line)
                self._grown.notify_all()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("the awaited condition did not come true")
        time.sleep(0.01)


def _clean_environment() -> dict[str, str]:
    """This process's environment without settings of a server."""
    prefixes = ("SAGEMAKER_", "MODEL_SERVER_", "MAX_CONTENT_LENGTH", "OMP_NUM_THREADS")
    return {k: v for k, v in os.environ.items() if not k.startswith(prefixes)}


StartServer = Callable[..., ServeProcess]


@pytest.fixture(name="wait_until")
def wait_until_fixture() -> Callable[[Callable[[], bool]], None]:
    """Polls a condition until it holds; fails the test at a deadline."""
    return wait_until


@pytest.fixture
def base_dir(tmp_path: Path) -> Path:
    """What stands for /opt/ml, with an empty model."""
    (tmp_path / "ml" / "model").mkdir(parents=True)
    return tmp_path / "ml"


@pytest.fixture
def model_dir(base_dir: Path) -> Path:
    return base_dir / "model"


def new_server(
    base_dir: Path,
    handler: str | None = None,
    command: list[str | Path] | None = None,
    **environment: str,
) -> ServeProcess:
    """`serve` for a handler of handlers_under_test, or for a script if there is no name."""
    settings = {
        "SAGEMAKER_BIND_TO_PORT": "0",
        "MODEL_SERVER_HOST": "127.0.0.1",
        "MODEL_SERVER_WORKERS": "1",
        "SAGEMAKER_BASE_DIR": str(base_dir),
        "PYTHONPATH": str(HANDLERS),
    }
    if handler is not None:
        settings["SAGEMAKER_SERVING_MODULE"] = f"handlers_under_test:{handler}"
    console_script = Path(sys.executable).with_name("serve")
    return ServeProcess(command or [console_script], {**settings, **environment}, base_dir.parent)


@pytest.fixture(scope="session", name="new_server")
def new_server_fixture() -> StartServer:
    """Starts a server that whoever asked for it closes."""
    return new_server


@pytest.fixture
def engine() -> str:
    """The HTTP server; tests of its manners override this with both."""
    return "prefork"


@pytest.fixture
def start_server(base_dir: Path, engine: str) -> Iterator[StartServer]:
    """Starts servers as `new_server`, for the time of one test."""
    started: list[ServeProcess] = []

    def start(handler: str | None = None, **environment: Any) -> ServeProcess:
        server = new_server(base_dir, handler, **{"MODEL_SERVER_ENGINE": engine, **environment})
        started.append(server)
        return server

    yield start
    for server in started:
        server.close()

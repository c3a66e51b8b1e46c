"""`docker run IMAGE serve`: an image of one's own on the base image, run as the platform does."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3

pytestmark = pytest.mark.docker

BASE = "sagelocal/base:1"
HANDLERS = Path(__file__).parent / "handlers" / "handlers_under_test.py"
DOCKERFILE = f"""
FROM {BASE}
COPY handlers_under_test.py /opt/program/
ENV PYTHONPATH=/opt/program SAGEMAKER_SERVING_MODULE=handlers_under_test:deadly
"""
# As strict as a container may be run.
CONFINED = ("--read-only", "--user", "10001:10001", "--cap-drop", "ALL", "--pids-limit", "64")

Wait = Callable[[Callable[[], bool]], None]


def _docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("image")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    shutil.copy(HANDLERS, folder)
    tag = f"sagelocal-test/serve:{uuid.uuid4().hex[:12]}"
    _docker("build", "-q", "-t", tag, str(folder))
    yield tag
    _docker("rmi", "--force", tag)


class Container:
    """A container that serves on a port of this machine."""

    def __init__(self, image: str, *options: str) -> None:
        self.name = _docker("run", "-d", "-p", "127.0.0.1:0:8080", *options, image, "serve")
        address = _docker("port", self.name, "8080/tcp").splitlines()[0]
        self._pool = urllib3.PoolManager(retries=False, timeout=30)
        self._url = f"http://{address}"

    def get(self, path: str) -> tuple[int, bytes]:
        answer = self._pool.request("GET", self._url + path)
        return answer.status, answer.data

    def invoke(self, body: bytes) -> tuple[int, bytes]:
        headers = {"Content-Type": "text/plain"}
        answer = self._pool.request("POST", f"{self._url}/invocations", body=body, headers=headers)
        return answer.status, answer.data

    def is_ready(self) -> bool:
        try:
            return self.get("/ping")[0] == 200
        except urllib3.exceptions.HTTPError:
            return False

    def stop(self) -> int:
        """SIGTERM, and SIGKILL after 30 s as the platform; the exit status."""
        _docker("stop", "--time", "30", self.name)
        return int(_docker("inspect", "--format", "{{.State.ExitCode}}", self.name))


@pytest.fixture
def run(image: str, wait_until: Wait) -> Iterator[Callable[..., Container]]:
    started: list[Container] = []

    def start(*options: str) -> Container:
        container = Container(image, *options)
        started.append(container)
        wait_until(container.is_ready)
        return container

    yield start
    for container in started:
        print(_docker("logs", container.name))
        _docker("rm", "--force", "--volumes", container.name)


@pytest.mark.parametrize(
    "options",
    [(), CONFINED, (*CONFINED, "--env", "MODEL_SERVER_ENGINE=gunicorn")],
    ids=["root", "confined", "confined-gunicorn"],
)
def test_container_serves_and_ends_when_told_to(
    options: tuple[str, ...], run: Callable[..., Container]
) -> None:
    container = run(*options)
    assert container.get("/ping") == (200, b"")
    assert container.invoke(b"1,2") == (200, b"1,2")
    assert container.stop() == 0


def test_worker_that_runs_out_of_memory_is_replaced_and_the_caller_told(
    run: Callable[..., Container],
) -> None:
    container = run("--memory", "256m", "--memory-swap", "256m", *CONFINED)
    status, body = container.invoke(b"memory")
    assert status == 500
    assert "memory" in json.loads(body)["message"]
    assert container.invoke(b"alive") == (200, b"alive")
    assert container.stop() == 0

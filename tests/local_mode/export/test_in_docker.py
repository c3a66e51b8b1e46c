"""What an export for Docker and for Lambda does, beside the endpoint that it was made of."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.local_mode.engine.hosting.conftest import IMAGES, Hosting
from tests.local_mode.export.conftest import IMAGE

pytestmark = [pytest.mark.docker, pytest.mark.slow]
SAGELOCAL = Path(sys.executable).with_name("sagelocal")
STRANGE = "5 $ and $$(COLOUR) ${HOME} \"quoted\" \\ 'so' #"
SCRIPT = b"""
import pathlib

def model_fn(folder):
    return pathlib.Path(folder, "word").read_text()

def transform_fn(model, body, content_type, accept):
    return f"{model}: {body if isinstance(body, str) else body.decode()}", "text/plain"
"""
REQUESTS = [b"\x00\xff", b"file weights", b"environment COLOUR", b"environment STRANGE"]


def run(*command: str, cwd: Path | None = None, input: bytes | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, input=input, capture_output=True)
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
    return done.stdout.decode().strip()


@pytest.fixture(scope="module")
def hosting(start_plane_for_all: Callable[..., Any]) -> Hosting:
    """A plane with an endpoint in service; its containers are processes, the image is the same."""
    run("docker", "build", "--quiet", "--tag", "sagelocal/test-echo:1", str(IMAGES / "echo"))
    plane = start_plane_for_all(containers_dir=str(IMAGES))
    state = {"url": plane.url, "pid": plane.pid}
    (plane.data_dir / "plane.json").write_text(json.dumps(state))
    hosting = Hosting(plane)
    hosting.deploy("echo", hosting.container(COLOUR="blue", STRANGE=STRANGE))
    hosting.deploy(
        "chain", hosting.container(MODEL_TAG="first"), hosting.container(MODEL_TAG="second")
    )
    return hosting


@pytest.fixture
def export(hosting: Hosting, tmp_path: Path) -> Callable[..., Path]:
    """The folder of an export of the endpoint, or of another one."""

    def make(*arguments: str, endpoint: str = "echo") -> Path:
        places = ("--data", str(hosting.plane.data_dir), "--containers-dir", str(IMAGES))
        run(
            str(SAGELOCAL), "export", endpoint, *arguments, *places, "--output", "out", cwd=tmp_path
        )
        return tmp_path / "out"

    return make


def answer(url: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Status and body; a connection that is refused is tried again, for a while."""
    deadline = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body), timeout=30) as found:
                return found.status, found.read()
        except urllib.error.HTTPError:
            raise
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_compose_answers_as_the_endpoint_does(
    hosting: Hosting, export: Callable[..., Path]
) -> None:
    folder = export("--to", "compose")
    project = f"exported-{uuid.uuid4().hex[:12]}"
    compose = ["env", "PORT=0", "docker-compose", "--project-name", project]
    try:
        run(*compose, "up", "--detach", cwd=folder)
        url = f"http://{run(*compose, 'port', 'echo', '8080', cwd=folder)}"

        assert answer(f"{url}/ping") == (200, b"")
        for body in REQUESTS:
            assert answer(f"{url}/invocations", body) == (200, hosting.invoke("echo", body))

        container = run(*compose, "ps", "--quiet", cwd=folder)
        assert _health(container) == "healthy"
        (found,) = json.loads(run("docker", "inspect", container))
        assert found["HostConfig"]["Memory"] == 8 * 1024**3
        assert found["HostConfig"]["CpuQuota"] == 2 * found["HostConfig"]["CpuPeriod"]
        (mount,) = found["Mounts"]
        assert (mount["Destination"], mount["RW"]) == ("/opt/ml/model", False)
    finally:
        run(*compose, "down", "--timeout", "5", cwd=folder)


def test_a_pipeline_in_compose_answers_as_the_endpoint_does(
    hosting: Hosting, export: Callable[..., Path]
) -> None:
    folder = export("--to", "compose", endpoint="chain")
    project = f"exported-{uuid.uuid4().hex[:12]}"
    # AWS's copy of Docker's image cannot be pulled everywhere; any Python does.
    image = "FRONT_IMAGE=sagelocal/test-echo:1"
    compose = ["env", "PORT=0", image, "docker-compose", "--project-name", project]
    try:
        run(*compose, "up", "--detach", cwd=folder)
        url = f"http://{run(*compose, 'port', 'chain', '8080', cwd=folder)}"
        assert _health(run(*compose, "ps", "--quiet", "chain", cwd=folder)) == "healthy"

        expected = hosting.invoke("chain", b"hello")
        assert expected == b"second:first:hello"
        assert answer(f"{url}/invocations", b"hello") == (200, expected)

        # What is under way when all are told to end is answered first.
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(answer, f"{url}/invocations", b"sleep 4")
            while not _is_asked(run(*compose, "ps", "--quiet", "chain-container-1", cwd=folder)):
                assert not slow.done()
            run(*compose, "stop", cwd=folder)
            assert slow.result()[0] == 200
    finally:
        run(*compose, "down", "--timeout", "5", cwd=folder)


def test_many_models_in_compose_are_loaded_when_they_are_asked_for(
    hosting: Hosting, export: Callable[..., Path]
) -> None:
    for word in ("one", "two"):
        model = {"word": word.encode(), "code/inference.py": SCRIPT}
        hosting.put_model(model, f"shelf/{word}.tar.gz")
    container = {
        "Image": "sagelocal/base:1",
        "Mode": "MultiModel",
        "ModelDataUrl": "s3://models/shelf/",
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
    }
    hosting.create("many", container)
    folder = export("--to", "compose", endpoint="many")
    project = f"exported-{uuid.uuid4().hex[:12]}"
    image = "FRONT_IMAGE=sagelocal/test-echo:1"
    compose = ["env", "PORT=0", image, "docker-compose", "--project-name", project]
    try:
        run(*compose, "up", "--detach", cwd=folder)
        url = f"http://{run(*compose, 'port', 'many', '8090', cwd=folder)}"
        assert _health(run(*compose, "ps", "--quiet", "many", cwd=folder)) == "healthy"

        for word in ("one", "two", "one"):
            target = {"X-Amzn-SageMaker-Target-Model": f"{word}.tar.gz"}
            asked = urllib.request.Request(f"{url}/invocations", b"hello", target)
            with urllib.request.urlopen(asked, timeout=60) as found:
                assert found.read() == f"{word}: hello".encode()
    finally:
        run(*compose, "down", "--timeout", "5", cwd=folder)


def _is_asked(container: str) -> bool:
    """Whether a request to the first container of a pipeline is under way, twice in a row: one for
    its health is over by then.
    """
    looks = "for i in 1 2; do grep -q ':1F91 .* 01 ' /proc/net/tcp || exit 1; sleep 0.3; done"
    done = subprocess.run(["docker", "exec", container, "sh", "-c", looks])
    return done.returncode == 0


def _health(container: str) -> str:
    """What Docker calls it once it has asked."""
    deadline = time.monotonic() + 120
    while True:
        health = run("docker", "inspect", "--format", "{{.State.Health.Status}}", container)
        if health != "starting" or time.monotonic() > deadline:
            return health
        time.sleep(0.1)


@pytest.fixture
def image_names() -> Iterator[list[str]]:
    """Names of images that are removed afterwards."""
    names = [f"exported-{uuid.uuid4().hex[:12]}:1", f"adapter-{uuid.uuid4().hex[:12]}:1"]
    yield names
    subprocess.run(["docker", "image", "rm", "--force", *names], capture_output=True)


def test_the_image_for_lambda_serves_as_lambda_runs_it(
    hosting: Hosting, export: Callable[..., Path], image_names: list[str]
) -> None:
    folder = export(
        "--to", "lambda", "--image", IMAGE, "--role", "arn:aws:iam::123456789012:role/R"
    )
    name, adapter = image_names
    # AWS's image cannot be pulled everywhere; the program in it does nothing outside of Lambda.
    run("docker", "import", "-", adapter, input=_archive("lambda-adapter", b"#!/bin/sh\n"))
    built = ["--build-arg", f"ADAPTER_IMAGE={adapter}", "--tag", name, "."]
    run("docker", "build", "--quiet", *built, cwd=folder)
    function = json.loads((folder / "create-function.json").read_text())
    variables = function["Environment"]["Variables"]
    told = [part for n, v in variables.items() for part in ("--env", f"{n}={v}")]
    limits = ["--read-only", "--tmpfs", "/tmp", "--user", "993:990"]
    limits += ["--publish", "127.0.0.1::8080"]
    container = run("docker", "run", "--detach", *limits, *told, name)
    try:
        port = run("docker", "port", container, "8080").rpartition(":")[2]

        assert answer(f"http://127.0.0.1:{port}/ping") == (200, b"")
        for body in REQUESTS:
            said = answer(f"http://127.0.0.1:{port}/invocations", body)
            assert said == (200, hosting.invoke("echo", body))
    finally:
        run("docker", "rm", "--force", container)


def _archive(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), 0o755
        tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()

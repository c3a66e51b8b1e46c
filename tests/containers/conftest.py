"""The images of built-in algorithms without building them: `train` and `serve` as processes.

A family's own conftest says where its folder is, as the fixture `family`.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uv
from sagelocal_first_party import Group, joined
from sagelocal_train.config import Resources


@dataclass(frozen=True)
class Interpreter:
    """The Python that a family's commands run on, and folders that its packages are in."""

    python: Path
    folders: tuple[Path, ...] = ()


THIS = Interpreter(Path(sys.executable))


def image_environment(
    family: Path, base: Path, interpreter: Interpreter | None = None
) -> dict[str, str]:
    """The variables of the family's image, with `base` in the place of /opt/ml."""
    image = tomllib.loads((family / "image.toml").read_text())
    folders = (family, *(interpreter.folders if interpreter else ()))
    return {
        **os.environ,
        **image["environment"],
        "SAGEMAKER_BASE_DIR": str(base),
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
    }


@pytest.fixture(scope="session")
def interpreter() -> Interpreter:
    """This one; a family whose libraries are elsewhere has its own."""
    return THIS


@dataclass(frozen=True)
class Ended:
    """A job that is over."""

    base: Path
    exit_code: int
    log: str

    @property
    def failure(self) -> str:
        path = self.base / "output" / "failure"
        return path.read_text() if path.exists() else ""

    @property
    def model_dir(self) -> Path:
        return self.base / "model"


@dataclass(frozen=True)
class Job:
    """The tree of a job that is being prepared; `run` trains."""

    base: Path
    family: Path
    interpreter: Interpreter = THIS

    def channel(
        self,
        name: str,
        files: Mapping[str, str | bytes],
        content_type: str | None = "text/csv",
        **more: str,
    ) -> Job:
        """Add a channel; `more` are members of its entry in inputdataconfig.json."""
        (self.base / "input" / "data" / name).mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            target = self.base / "input" / "data" / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        config = self.base / "input" / "config" / "inputdataconfig.json"
        config.parent.mkdir(parents=True, exist_ok=True)
        channels = json.loads(config.read_text()) if config.exists() else {}
        channels[name] = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}
        channels[name] |= more
        if content_type:
            channels[name]["ContentType"] = content_type
        config.write_text(json.dumps(channels))
        return self

    def prepare(self, **hyperparameters: object) -> dict[str, str]:
        """Write the hyperparameters; the variables of the job's process."""
        config = self.base / "input" / "config"
        config.mkdir(parents=True, exist_ok=True)
        texts = {name: str(value) for name, value in hyperparameters.items()}
        (config / "hyperparameters.json").write_text(json.dumps(texts))
        return image_environment(self.family, self.base, self.interpreter)

    def start(self, **hyperparameters: object) -> subprocess.Popen[str]:
        """Begin to train; standard error goes where standard output does."""
        return subprocess.Popen(
            [self.interpreter.python, "-m", "sagelocal_train.cli"],
            env=self.prepare(**hyperparameters),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, **hyperparameters: object) -> Ended:
        """Train to the end."""
        process = self.start(**hyperparameters)
        log, _ = process.communicate()
        return Ended(self.base, process.returncode, log)


@pytest.fixture
def job(tmp_path: Path, family: Path, interpreter: Interpreter) -> Job:
    """The tree of a job of the family."""
    return Job(tmp_path / "ml", family, interpreter)


@pytest.fixture(scope="session")
def built_package(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Builds the wheel of a family's folder under the given variables; the package in it."""

    def build(family: Path, **variables: str) -> Path:
        folder = tmp_path_factory.mktemp("wheel")
        command = [uv.find_uv_bin(), "build", "--quiet", "--wheel", "--out-dir", str(folder)]
        subprocess.run([*command, str(family)], env={**os.environ, **variables}, check=True)
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            wheel.extractall(folder)
        return folder / f"sagelocal_{family.name}"

    return build


OnHosts = Callable[[int, Callable[[Group], Any]], list[Any]]


@pytest.fixture(scope="session")
def on_hosts() -> OnHosts:
    """`on_hosts(3, work)`: what `work(group)` gives on each of several connected hosts.

    The hosts are threads, with a loopback address each.
    """

    def run(count: int, work: Callable[[Group], Any]) -> list[Any]:
        hosts = tuple(f"127.0.0.{number + 2}" for number in range(count))
        with socket.socket() as probe:
            probe.bind((hosts[0], 0))
            port = int(probe.getsockname()[1])

        def on(host: str) -> Any:
            with joined(Resources(host, hosts), port, timeout_seconds=60) as group:
                return work(group)

        with ThreadPoolExecutor(count) as pool:
            return [each.result() for each in [pool.submit(on, host) for host in hosts]]

    return run


DEADLINE_SECONDS = 180.0


@dataclass(frozen=True)
class Answer:
    """What the endpoint said."""

    status: int
    content_type: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Server:
    """A running `serve`."""

    process: subprocess.Popen[str]
    port: int

    def invoke(self, body: bytes | str, content_type: str, accept: str | None = None) -> Answer:
        content = body.encode() if isinstance(body, str) else body
        headers = {"Content-Type": content_type} | ({"Accept": accept} if accept else {})
        return self.request("POST", "/invocations", content, headers)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_SECONDS)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, response.getheader("Content-Type", ""), response.read())
        finally:
            connection.close()


Serve = Callable[[Path], Server]


@pytest.fixture(scope="module")
def serve(family: Path, interpreter: Interpreter) -> Iterator[Serve]:
    """Starts `serve` for a folder whose `model` subfolder holds the artifact."""
    processes: list[subprocess.Popen[str]] = []

    def start(base: Path) -> Server:
        environment = image_environment(family, base, interpreter)
        environment["SAGEMAKER_BIND_TO_PORT"] = "0"
        # One worker unless the test wants more: what the first request is told, the next is too.
        environment.setdefault("SAGEMAKER_MODEL_SERVER_WORKERS", "1")
        command = [str(interpreter.python), "-m", "sagelocal_serve"]
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        processes.append(process)
        return Server(process, _port(process))

    yield start
    for process in processes:
        process.terminate()
        process.communicate(timeout=DEADLINE_SECONDS)


def _port(process: subprocess.Popen[str]) -> int:
    """The port that the log names; the model is there by then, or could not be loaded."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if found := re.search(r"Listening on \S+ port (\d+)", line):
            port = int(found[1])
            _wait_for_ping(port)
            return port
    pytest.fail("serve ended:\n" + "".join(said))


def _wait_for_ping(port: int) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5) as response:
                if response.status == 200:
                    return
        except urllib.error.HTTPError as error:
            if error.code != 503:
                return
        except OSError:
            pass
        time.sleep(0.02)
    pytest.fail("/ping did not say how it is")

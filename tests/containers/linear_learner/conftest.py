"""A training job without a container: the /opt/ml tree, the console script, and what it left."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

FAMILY = Path(__file__).parents[3] / "containers" / "linear_learner"


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

    def channel(
        self, name: str, files: Mapping[str, str | bytes], content_type: str | None = "text/csv"
    ) -> Job:
        for path, content in files.items():
            target = self.base / "input" / "data" / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        config = self.base / "input" / "config" / "inputdataconfig.json"
        config.parent.mkdir(parents=True, exist_ok=True)
        channels = json.loads(config.read_text()) if config.exists() else {}
        channels[name] = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}
        if content_type:
            channels[name]["ContentType"] = content_type
        config.write_text(json.dumps(channels))
        return self

    def run(self, **hyperparameters: object) -> Ended:
        config = self.base / "input" / "config"
        config.mkdir(parents=True, exist_ok=True)
        texts = {name: str(value) for name, value in hyperparameters.items()}
        (config / "hyperparameters.json").write_text(json.dumps(texts))
        environment = os.environ | {
            "SAGEMAKER_BASE_DIR": str(self.base),
            "SAGEMAKER_TRAINING_MODULE": "sagelocal_linear_learner.training:main",
            "PYTHONPATH": str(FAMILY),
            "OPENBLAS_NUM_THREADS": "1",
        }
        done = subprocess.run(
            [sys.executable, "-m", "sagelocal_train.cli"],
            env=environment,
            capture_output=True,
            text=True,
        )
        return Ended(self.base, done.returncode, done.stdout + done.stderr)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "ml")


@pytest.fixture(scope="session")
def family() -> Path:
    """The family's folder."""
    return FAMILY


@pytest.fixture(scope="session")
def csv_text() -> Callable[[NDArray[Any], NDArray[Any]], str]:
    """Labels and features as a CSV without a header."""

    def text(labels: NDArray[Any], features: NDArray[Any]) -> str:
        table = np.column_stack([labels, features]).tolist()
        return "".join(",".join(map(repr, row)) + "\n" for row in table)

    return text


@pytest.fixture(scope="session")
def salaries() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fourteen rows: months of experience, and the salary they bring."""
    rng = np.random.default_rng(7)
    months = rng.integers(7, 95, 14).astype(np.float64)
    return np.round(1000 + 8 * months + rng.normal(0, 70, 14)), months[:, None]


DEADLINE_SECONDS = 30.0


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


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts `serve` for a folder whose `model` subfolder holds the artifact."""
    processes: list[subprocess.Popen[str]] = []

    def start(base: Path) -> Server:
        environment = os.environ | {
            "SAGEMAKER_BASE_DIR": str(base),
            "SAGEMAKER_SERVING_MODULE": "sagelocal_linear_learner.serving:app",
            "SAGEMAKER_BIND_TO_PORT": "0",
            "PYTHONPATH": str(FAMILY),
            "OPENBLAS_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "sagelocal_serve"]
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
    """The port that the log names; /ping is answered once the model is there."""
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
        except OSError:
            time.sleep(0.02)
    pytest.fail("/ping did not become healthy")

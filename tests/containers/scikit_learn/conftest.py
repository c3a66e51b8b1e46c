"""The scikit-learn image without building it: its handler in process, or `serve` and `train`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import pytest
from sagelocal.runtime.environments import Environments, default_folder
from sagelocal.runtime.images import ImageCatalog
from sagelocal.runtime.private_environment import make_private
from sagelocal_scikit_learn.serving import app
from sagelocal_serve import Accept, Handler, MediaType, Request, Settings

LISTENING = re.compile(r"Listening on \S+ port (\d+)")


@dataclass
class Model:
    """The model folder of a container, and its handler once that is loaded."""

    base: Path
    handler: Handler | None = None

    @property
    def folder(self) -> Path:
        return self.base / "model"

    def dump(self, estimator: object, name: str = "model.joblib", **options: Any) -> Model:
        """Save an estimator as a notebook does."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        joblib.dump(estimator, path, **options)
        return self

    def write(self, name: str, text: str) -> Model:
        """Write a file of the archive."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return self

    def load(self) -> Model:
        """Load it as `serve` does."""
        variables = {**os.environ, "SAGEMAKER_BASE_DIR": str(self.base)}
        self.handler = app(Settings.read(variables))
        self.handler.prepare(self.folder)
        self.handler.load(self.folder)
        return self

    def ask(self, body: str | bytes, content_type: str = "text/csv", accept: str = "") -> Any:
        """The answer: parsed if it is JSON, else text, else bytes."""
        if self.handler is None:
            self.load()
        assert self.handler is not None
        raw = body.encode() if isinstance(body, str) else body
        response = self.handler.handle(
            Request(raw, MediaType.parse(content_type), Accept.parse(accept))
        )
        assert isinstance(response.body, bytes)
        kind = response.content_type.essence
        if kind == "application/json":
            return json.loads(response.body)
        return response.body.decode() if kind == "text/csv" else response.body


@pytest.fixture
def model(tmp_path: Path) -> Model:
    found = Model(tmp_path / "ml")
    found.folder.mkdir(parents=True)
    return found


@dataclass
class Container:
    """The image's environment with a folder for /opt/ml: what `serve` and `train` run in."""

    scripts: Path
    base: Path
    log_path: Path
    image_environment: dict[str, str]
    variables: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def log(self) -> str:
        """What it wrote so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def write(self, relative: str, text: str) -> None:
        """Write a file of its /opt/ml."""
        path = self.base / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")

    def python(self, code: str) -> None:
        """Run code with the image's Python, in the model folder."""
        subprocess.run(
            [self.scripts / "python", "-W", "ignore", "-c", textwrap.dedent(code)],
            cwd=self.base / "model",
            check=True,
        )

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Start `train` or `serve`."""
        with self.log_path.open("wb") as log:
            process = subprocess.Popen(
                [self.scripts / command],
                env={
                    "PATH": f"{self.scripts}{os.pathsep}{os.environ['PATH']}",
                    **self.image_environment,
                    "SAGEMAKER_BASE_DIR": str(self.base),
                    **self.variables,
                },
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.started.append(process)
        return process

    def train(self, script: str, **hyperparameters: object) -> int:
        """Train with a script to the end; the exit code."""
        encoded = {name: json.dumps(value) for name, value in hyperparameters.items()}
        encoded["sagemaker_program"] = '"train.py"'
        self.write("code/train.py", script)
        self.write("input/config/hyperparameters.json", json.dumps(encoded))
        self.write("input/config/inputdataconfig.json", '{"train": {"TrainingInputMode": "File"}}')
        return self.start("train").wait(timeout=240)

    def serve(self) -> str:
        """Start `serve`; its address, once the model is loaded or has failed."""
        self.variables |= {"SAGEMAKER_BIND_TO_PORT": "0", "MODEL_SERVER_HOST": "127.0.0.1"}
        process = self.start("serve")
        deadline = time.monotonic() + 120
        while get(address := self._address())[0] in (0, 503):
            assert process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)
        return address

    def _address(self) -> str:
        """By the last line that says it: `serve` may begin anew."""
        ports = LISTENING.findall(self.log)
        return f"http://127.0.0.1:{ports[-1]}" if ports else ""


def get(address: str, path: str = "/ping", body: bytes | None = None, **headers: str) -> Any:
    """Status and text; status 0 if nobody answers."""
    if not address:
        return 0, ""
    request = urllib.request.Request(address + path, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


@pytest.fixture(scope="session")
def invoke() -> Callable[..., tuple[int, str]]:
    """`invoke(address, body, content_type)`: status and text of an answer."""

    def call(
        address: str, body: str, content_type: str = "text/csv", path: str = "/invocations"
    ) -> tuple[int, str]:
        status, text = get(address, path, body.encode(), **{"Content-Type": content_type})
        return status, text

    return call


@pytest.fixture(scope="session")
def catalog() -> ImageCatalog:
    return ImageCatalog.load()


@pytest.fixture
def container(catalog: ImageCatalog, tmp_path: Path) -> Iterator[Container]:
    """A container that is not started; what a test leaves running is ended."""
    family = catalog.resolve("scikit-learn")
    assert family is not None
    shared = Environments(default_folder(), catalog).ready(family)
    scripts = make_private(shared.folder, tmp_path / "environment", {})
    found = Container(scripts, tmp_path / "ml", tmp_path / "log", catalog.environment(family))
    (found.base / "model").mkdir(parents=True)
    yield found
    for process in found.started:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=60)

"""A laptop with a spec in a folder, its own plane, and a second plane that stands for the cloud."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

SAGELOCAL = Path(sys.executable).with_name("sagelocal")
IMAGES = Path(__file__).parent / "images"
ACCOUNT = "123456789012"
REGION = "eu-west-1"

TRAINING = """
name = "toy"
image = "test-toy"
role = "Worker"

[data]
train = "numbers.csv"

[hyperparameters]
scale = 2

[instance]
type = "ml.m5.large"

[limits]
max_run_seconds = 3600

[environment]
COLOUR = "blue"
"""
ENDPOINT = """
kind = "endpoint"
name = "{name}"
image = "test-toy"
role = "Worker"
model = "model"

[instance]
type = "ml.m5.large"

[environment]
COLOUR = "green"
"""


@dataclass
class Laptop:
    """Runs the command in a folder, with keys for the cloud's plane in its environment."""

    folder: Path
    environment: dict[str, str] = field(repr=False)

    def write(self, text: str, name: str = "job.toml") -> None:
        (self.folder / name).write_text(text)

    def endpoint(self, name: str) -> str:
        """The spec of an endpoint of that name."""
        return ENDPOINT.format(name=name)

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        """The command, running; standard input is no terminal."""
        settings: dict[str, Any] = {
            "cwd": self.folder,
            "env": self.environment,
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
        }
        return subprocess.Popen([str(SAGELOCAL), *arguments], **{**settings, **more})

    def run(self, *arguments: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
        """The command, ended; a variable that is None is not set."""
        changed = {**self.environment, **environment}
        env = {name: value for name, value in changed.items() if value is not None}
        with self.start(*arguments, env=env) as process:
            out, err = process.communicate(timeout=200)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.fixture(scope="module")
def cloud(start_shared_plane: Callable[..., Any]) -> Any:
    """The plane that the laptop takes for AWS."""
    return start_shared_plane(containers_dir=IMAGES, account=ACCOUNT)


@pytest.fixture(scope="module")
def at_home(cloud: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The laptop's environment; what it started is ended afterwards."""
    data = tmp_path_factory.mktemp("laptop") / "data"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {
        "HOME": str(data.parent),
        "SAGELOCAL_DATA": str(data),
        "SAGELOCAL_PORT": "0",
        "SAGELOCAL_RUNTIME": "process",
        "SAGELOCAL_CONTAINERS_DIR": str(IMAGES),
        "AWS_ENDPOINT_URL": cloud.url,
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "key",
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    yield environment
    subprocess.run([SAGELOCAL, "down"], env=environment, capture_output=True, check=True)
    _end_what_runs_from(data)


def _end_what_runs_from(folder: Path) -> None:
    """Containers outlive their plane; those of a test must not outlive the test."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            with contextlib.suppress(OSError):
                told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
                if str(folder).encode() in told:
                    os.kill(int(process.name), signal.SIGKILL)


@pytest.fixture(scope="module")
def make_laptop(at_home: dict[str, str]) -> Callable[[Path], Laptop]:
    """Makes a folder one with job.toml, its data, and a model."""

    def make(folder: Path) -> Laptop:
        laptop = Laptop(folder, at_home)
        laptop.write(TRAINING)
        laptop.write("3\n5\n", "numbers.csv")
        (folder / "model").mkdir()
        laptop.write('{"factor": 3}', "model/model.json")
        return laptop

    return make


@pytest.fixture
def laptop(make_laptop: Callable[[Path], Laptop], tmp_path: Path) -> Laptop:
    """A fresh one."""
    return make_laptop(tmp_path)

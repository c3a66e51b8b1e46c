"""A training job on disk, and the real `train` console script run on it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine makes examples slow, which is no failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR")


@dataclass(frozen=True)
class Ended:
    """What a finished container leaves."""

    exit_code: int
    output: str
    failure: str | None
    succeeded: bool


@dataclass
class Job:
    """The tree of one job. `run` starts `train` as a container would be started."""

    base: Path
    variables: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def failure(self) -> Path:
        return self.base / "output/failure"

    def config(self, name: str, document: object) -> Job:
        """Write input/config/NAME.json."""
        return self.write(f"input/config/{name}.json", json.dumps(document))

    def hyperparameters(self, **values: object) -> Job:
        """Write hyperparameters as a framework estimator does: JSON inside strings."""
        encoded = {name: json.dumps(value) for name, value in values.items()}
        return self.config("hyperparameters", encoded)

    def code(self, name: str, text: str) -> Job:
        """Write a file of the user's source."""
        return self.write(f"code/{name}", textwrap.dedent(text))

    def write(self, relative: str, text: str) -> Job:
        path = self.base / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return self

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `train`; the fixture ends what a test leaves running."""
        train = shutil.which("train", path=os.path.dirname(sys.executable))
        assert train is not None, "the console script `train` is not installed"
        process = subprocess.Popen(
            [train, *arguments],
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process

    def environment(self) -> Mapping[str, str]:
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        return kept | {"SAGEMAKER_BASE_DIR": str(self.base)} | self.variables

    def end(self, process: subprocess.Popen[str]) -> Ended:
        """Wait for the container's end."""
        output, _ = process.communicate(timeout=60)
        failure = self.failure.read_text(encoding="utf-8") if self.failure.exists() else None
        succeeded = (self.base / "output/success").exists()
        return Ended(process.returncode, output, failure, succeeded)

    def run(self, *arguments: str) -> Ended:
        return self.end(self.start(*arguments))

    def run_script(self, text: str, **hyperparameters: object) -> Ended:
        """Run `text` as the entry point train.py."""
        self.code("train.py", text)
        return self.hyperparameters(sagemaker_program="train.py", **hyperparameters).run()

    def result(self) -> object:
        """The JSON that a script wrote to model/result.json."""
        return json.loads((self.base / "model/result.json").read_text(encoding="utf-8"))


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    """An empty job; its model folder is there, as the platform makes it."""
    base = tmp_path / "ml"
    (base / "model").mkdir(parents=True)
    job = Job(base)
    yield job
    for process in job.started:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Wait for a condition with a deadline."""

    def wait(condition: Callable[[], bool], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "the awaited state did not come"
            time.sleep(0.01)

    return wait

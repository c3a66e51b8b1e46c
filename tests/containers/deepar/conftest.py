"""Series with seasons in them, and the image's `train` run by a Python that has mxnet."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from sagelocal_deepar import artifact
from sagelocal_deepar.forecaster import Forecaster

from tests.containers.conftest import Ended, Job
from tests.containers.deepar.records import TINY, json_lines, seasonal, without_end

ROOT = Path(__file__).parents[3]
FAMILY = ROOT / "containers" / "deepar"
ROOMS = (
    *("train", "serve", "containers/formats", "containers/requirements"),
    *("containers/first_party", "containers/deepar"),
)
# What the toolkits stand on; pure Python, so that it may come from another environment.
LIBRARIES = ("gunicorn", "packaging")
START = "import sys; from sagelocal_train.cli import main; sys.argv = ['train']; sys.exit(main())"
# A host of several: all have loopback addresses, and a port that is free there.
JOIN = """
from functools import partial
from sagelocal_deepar import training
training.joined = partial(training.joined, port=%d, timeout_seconds=60)
"""


@pytest.fixture(scope="session")
def family() -> Path:
    """The family's folder."""
    return FAMILY


@dataclass(frozen=True)
class Trainer:
    """Runs a job's `train` where mxnet is."""

    python: Path
    libraries: Path

    def __call__(self, job: Job, **hyperparameters: object) -> Ended:
        """Train to the end; hyperparameters beside or instead of those of a tiny network."""
        [ended] = self._ended([job], START, hyperparameters)
        return ended

    def on_hosts(self, jobs: Sequence[Job], **hyperparameters: object) -> list[Ended]:
        """Train on several hosts, each with a tree of its own."""
        hosts = [f"127.0.0.{number + 2}" for number in range(len(jobs))]
        with socket.socket() as probe:
            probe.bind((hosts[0], 0))
            port = probe.getsockname()[1]
        for host, job in zip(hosts, jobs, strict=True):
            config = job.base / "input" / "config" / "resourceconfig.json"
            config.write_text(json.dumps({"current_host": host, "hosts": hosts}))
        return self._ended(jobs, JOIN % port + START, hyperparameters)

    def _ended(
        self, jobs: Sequence[Job], code: str, hyperparameters: dict[str, object]
    ) -> list[Ended]:
        paths = [*(str(ROOT / room) for room in ROOMS), str(self.libraries)]
        more = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "ignore"}
        running = [
            subprocess.Popen(
                [str(self.python), "-c", code],
                env={**job.prepare(**{**TINY, **hyperparameters}), **more},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for job in jobs
        ]
        logs = [process.communicate()[0] for process in running]
        return [
            Ended(job.base, process.returncode, log)
            for job, process, log in zip(jobs, running, logs, strict=True)
        ]


@pytest.fixture(scope="session")
def train(mxnet_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """`train(job, epochs=3)`."""
    folder = tmp_path_factory.mktemp("libraries")
    for name in LIBRARIES:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        (folder / name).symlink_to(Path(spec.origin).parent)
    return Trainer(mxnet_python, folder)


MakeJob = Callable[[str], Job]


@pytest.fixture(scope="session")
def make_job(tmp_path_factory: pytest.TempPathFactory) -> MakeJob:
    """`make_job("name")`: the tree of a job, for tests that share one."""
    return lambda name: Job(tmp_path_factory.mktemp(name) / "ml", FAMILY)


@pytest.fixture(scope="session")
def trained(make_job: MakeJob, train: Trainer) -> Ended:
    """A tiny model of hourly series, with a test channel."""
    records = seasonal(12, 80)
    job = make_job("trained")
    job.channel("train", {"train.json": json_lines(without_end(records, 6))}, None)
    job.channel("test", {"test.json": json_lines(records)}, None)
    ended = train(job, epochs=3)
    assert ended.exit_code == 0, ended.log
    return ended


@pytest.fixture(scope="session")
def model(trained: Ended) -> Forecaster:
    """The tiny model as the endpoint loads it."""
    return artifact.load(trained.model_dir)

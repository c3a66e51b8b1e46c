"""`sagelocal logs`: a job's or an endpoint's lines, now or as they come."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sagelocal.domain.names import Scope
from sagelocal.store.database import Database
from sagelocal.store.logs import LogEvent, LogStore
from sagelocal.store.resources import Resource, Resources

SAGELOCAL = Path(sys.executable).with_name("sagelocal")
SCOPE = Scope("000000000000", "us-east-1")
JOBS = "/aws/sagemaker/TrainingJobs"


class DataDirectory:
    """What a plane leaves of its resources and logs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database(folder / "plane.sqlite")
        self.resources = Resources(self.database)
        self.logs = LogStore(folder / "logs")

    def add(self, kind: str, name: str, status: str) -> str:
        arn = SCOPE.sagemaker_arn(kind, name)
        self.resources.add(Resource(arn, kind, "us-east-1", name, status, 1.0, 1.0, {}))
        return arn

    def say(self, group: str, stream: str, *texts: str) -> None:
        self.logs.append(group, stream, [LogEvent(int(time.time() * 1000), t) for t in texts])

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command: list[str | Path] = [SAGELOCAL, "logs", "--data", self.folder, *arguments]
        return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def data(tmp_path: Path) -> Iterator[DataDirectory]:
    directory = DataDirectory(tmp_path)
    yield directory
    directory.database.close()


def test_a_jobs_lines_are_printed_as_they_were(data: DataDirectory) -> None:
    data.add("training-job", "job", "Completed")
    data.say(JOBS, "job/algo-1-1", "first", "second\twith a tab")
    data.say(JOBS, "job-2/algo-1-1", "of another job")

    assert data.run("job").stdout == "first\nsecond\twith a tab\n"


def test_lines_of_several_hosts_carry_the_hosts_name(data: DataDirectory) -> None:
    data.add("training-job", "job", "Completed")
    data.say(JOBS, "job/algo-1-7", "one")
    data.say(JOBS, "job/algo-2-7", "two")

    assert data.run("job").stdout == "algo-1-7  one\nalgo-2-7  two\n"


def test_an_endpoints_lines_are_printed(data: DataDirectory) -> None:
    data.add("endpoint", "mine", "InService")
    data.say("/aws/sagemaker/Endpoints/mine", "AllTraffic/i-1", "serving")

    assert data.run("mine").stdout == "serving\n"


def test_following_prints_what_comes_and_ends_with_the_job(data: DataDirectory) -> None:
    arn = data.add("training-job", "job", "InProgress")
    data.say(JOBS, "job/algo-1-1", "before")
    command: list[str | Path] = [SAGELOCAL, "logs", "--data", data.folder, "-f", "job"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == "before\n"
        data.say(JOBS, "job/algo-1-1", "while it runs")
        assert follower.stdout.readline() == "while it runs\n"
        data.say(JOBS, "job/algo-1-1", "last")
        data.resources.update(arn, lambda job: replace(job, status="Completed"))

        assert follower.stdout.read() == "last\n"
        assert follower.wait(30) == 0


def test_an_unknown_name_is_said_with_the_next_step(data: DataDirectory) -> None:
    done = data.run("nothing")

    assert done.returncode == 1
    assert "'nothing'" in done.stderr
    assert "list-training-jobs" in done.stderr


def test_a_folder_without_a_planes_data_is_said(tmp_path: Path) -> None:
    command: list[str | Path] = [SAGELOCAL, "logs", "--data", tmp_path, "job"]
    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 1
    assert "--data" in done.stderr

"""The SageMaker SDK 3.x, as users have it: ModelTrainer, ModelBuilder and the resources below."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sagelocal.cli.client_environment import client_environment

from tests.clients.conftest import Terminal
from tests.clients.warm import SDK_3, warm

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(600)]

HERE = Path(__file__).parent / "sdk3"


@pytest.fixture(scope="module")
def sdk3(tmp_path_factory: pytest.TempPathFactory, sdk3_python: Path) -> Iterator[Terminal]:
    """A plane, and a Python with the SDK 3.x."""
    environment = client_environment("http://127.0.0.1:9", os.environ)
    data = tmp_path_factory.mktemp("plane") / "data"
    with warm(sdk3_python, tmp_path_factory.mktemp("warm"), environment, SDK_3) as python:
        terminal = Terminal(data, "process", python, sdk3_python.parent)
        terminal.sagelocal("up", "--port", "0")
        yield terminal
        terminal.sagelocal("down")


@pytest.fixture(scope="module")
def ran(sdk3: Terminal, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """What the notebook reported, and all that it printed."""
    data = tmp_path_factory.mktemp("rows")
    (data / "rows.csv").write_text("1\n2\n3\n")
    command = (sdk3.clients, "-W", "ignore", HERE / "notebook.py", HERE / "source", data)
    printed = sdk3.sagelocal("exec", "--", *command)
    return json.loads(printed.strip().splitlines()[-1]), printed


@pytest.fixture(scope="module")
def report(ran: tuple[dict[str, Any], str]) -> dict[str, Any]:
    """What the notebook reported."""
    return ran[0]


def test_the_session_finds_role_and_bucket(report: dict[str, Any]) -> None:
    assert report["role"] == "arn:aws:iam::000000000000:role/SageLocalExecutionRole"
    assert report["bucket"] == "sagemaker-us-east-1-000000000000"


def test_a_model_trainer_runs_a_script_and_shows_its_log(ran: tuple[dict[str, Any], str]) -> None:
    report, printed = ran

    assert report["job"] == {
        "status": "Completed",
        "steps": ["Starting", "Downloading", "Training", "Uploading", "Completed"],
        "metrics": {"total": 15.0},
    }
    assert "host=algo-1 total=15.0;" in printed


def test_a_script_that_fails_raises_with_the_reason(report: dict[str, Any]) -> None:
    assert report["failure"].startswith("FailedStatusError: ")
    assert "Failure Reason: AlgorithmError: " in report["failure"]
    assert report["failed"] == [report["bad"]]


def test_a_model_builder_hosts_the_model_with_a_script(report: dict[str, Any]) -> None:
    assert report["answer"] == [16.0, 17.0]
    assert report["endpoints"] == ["sums"]


def test_what_is_deleted_is_gone(report: dict[str, Any]) -> None:
    assert report["left"] == []

"""An image in the classic form, two executables and no toolkit: by boto3 and by SDK local mode."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.clients,
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]

HERE = Path(__file__).parent
CONTEXT = HERE.parent / "containers" / "byoc"
MAKE_BASE = HERE.parents[1] / "containers" / "base" / "make_base.sh"
IMAGE = "sagelocal-test/byoc:1"


@pytest.fixture(scope="module")
def image() -> str:
    """The image, built from its folder on plain Python."""
    base = subprocess.run(["sh", MAKE_BASE], check=True, capture_output=True, text=True).stdout
    command = ["docker", "build", "--quiet", "--tag", IMAGE, "--build-arg"]
    done = subprocess.run(
        [*command, f"BASE_IMAGE={base.strip()}", str(CONTEXT)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return IMAGE


@pytest.fixture(scope="module")
def seen(image: str, make_terminal: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the boto3 program saw of jobs that end in every way, and of an endpoint."""
    plane = make_terminal(tmp_path_factory.mktemp("byoc") / "data", "docker")
    with plane.running() as terminal:
        return terminal.notebook(HERE / "byoc" / "by_boto3.py", image)[0]


def test_exit_status_0_is_success_and_the_model_folder_is_uploaded(seen: Any) -> None:
    assert seen["status"]["plain"] == "Completed"
    assert seen["log"]["plain"] == ["job byoc-plain", "mean: 3"]
    assert "output/byoc-plain/output/model.tar.gz" in seen["objects"]


def test_the_failure_file_is_the_reason(seen: Any) -> None:
    assert seen["status"]["fail"] == "Failed"
    assert seen["reason"]["fail"] == "AlgorithmError: the data has a hole in row 7, exit code: 7"


def test_without_a_failure_file_the_log_and_the_exit_code_are(seen: Any) -> None:
    assert seen["status"]["silent"] == "Failed"
    expected = "AlgorithmError: job byoc-silent, exit code: 3"
    assert seen["reason"]["silent"] == expected


def test_stopping_is_sigterm_and_what_the_job_saves_then_is_kept(seen: Any) -> None:
    assert seen["status"]["wait"] == "Stopped"
    assert seen["log"]["wait"][-1] == "told to stop"
    assert "output/byoc-wait/output/model.tar.gz" in seen["objects"]


def test_its_server_answers_behind_an_endpoint(seen: Any) -> None:
    assert seen["answer"] == "0,2"
    assert seen["refused"] == 400


def test_it_runs_in_the_sdks_own_local_mode(image: str, local_mode: Any, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "rows.csv").write_text("1\n2\n6\n")
    assert local_mode(HERE / "byoc" / "local_mode.py", image, tmp_path, data) == "0,2"

"""The chapter: an unmodified notebook, shell script and image, from the first bucket to the end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(900)]

CHAPTER = Path(__file__).parent / "chapter"
SPLIT = """
import io, sys
import pandas as pd
from sklearn.model_selection import train_test_split
salaries = pd.read_csv(sys.argv[1])
train, _ = train_test_split(salaries, test_size=0.3, random_state=0)
train[["monthly_salary", "management_experience_months"]].to_csv(
    sys.argv[2], header=False, index=False)
"""


def run_chapter(runtime: str, output: Path) -> tuple[dict[str, Any], str]:
    """Run the demo; what the notebook saw, and everything that was printed."""
    done = subprocess.run(
        [sys.executable, CHAPTER / "demo.py", "--runtime", runtime, "--output", output],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(done.stdout)
    assert done.returncode == 0, f"the chapter failed:\n{done.stdout[-6000:]}"
    return json.loads((output / "results.json").read_text()), done.stdout


def check_what_the_notebook_saw(results: dict[str, Any], printed: str, output: Path) -> None:
    name = results["name"]
    assert results["role"].startswith("arn:aws:iam::000000000000:role/")
    assert results["image"].endswith(".dkr.ecr.us-east-1.amazonaws.com/linear-learner:1")
    assert results["model_data"].endswith(f"/output/{results['job']}/output/model.tar.gz")
    assert results["status"] == "Completed"
    assert results["transitions"] == [
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    assert results["variant"] == "AllTraffic"
    assert results["endpoint_status"] == "InService"
    assert results["job"] in results["listed"]["jobs"]
    assert results["listed"]["models"] == [name]
    assert results["listed"]["endpoints"] == [f"{name}-endpoint"]
    assert {"Key": "chapter", "Value": "salaries"} in results["tags"]
    assert {"Key": "reviewed", "Value": "yes"} in results["tags_after"]
    assert results["left"] == {"models": [], "configs": [], "endpoints": []}
    for line in (
        "Docker entrypoint called with argument(s): train",
        "#quality_metric: host=algo-1, epoch=0, train",
        "Training job completed",
        "Training seconds:",
        "Billable seconds:",
    ):
        assert line in printed
    assert (output / "salaries.png").read_bytes().startswith(b"\x89PNG")


def check_the_line(results: dict[str, Any]) -> None:
    by_hand = results["by_hand"]["predictions"]
    assert results["train_rmse"] <= 1.06 * results["least_squares_train_rmse"]
    assert by_hand == pytest.approx(results["predict_42_81"], rel=1e-6)
    assert results["predict_42"] == pytest.approx(results["predict_42_81"][0], rel=1e-6)


def test_the_chapter_on_the_process_runtime(
    clients_python: Path, mxnet_python: Path, tmp_path: Path
) -> None:
    results, printed = run_chapter("process", tmp_path / "demo")

    check_what_the_notebook_saw(results, printed, tmp_path / "demo")
    check_the_line(results)


@pytest.mark.docker
def test_the_chapter_on_the_docker_runtime(
    clients_python: Path, mxnet_python: Path, tmp_path: Path
) -> None:
    results, printed = run_chapter("docker", tmp_path / "demo")

    check_what_the_notebook_saw(results, printed, tmp_path / "demo")
    check_the_line(results)


@pytest.fixture
def training_file(clients_python: Path, tmp_path: Path) -> Path:
    """The notebook's training split: label first, no header."""
    file = tmp_path / "train" / "salaries.csv"
    file.parent.mkdir()
    subprocess.run([clients_python, "-c", SPLIT, CHAPTER / "salaries.csv", file], check=True)
    return file


@pytest.mark.docker
def test_the_image_by_hand_with_docker_run_and_curl(training_file: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [CHAPTER / "by_hand.sh", "sagelocal/linear-learner:1", tmp_path / "ml", training_file],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr

    answer = json.loads(done.stdout.strip().splitlines()[-1])
    assert 1100 < answer["predictions"][0]["score"] < 1500
    assert "#quality_metric: host=algo-1" in done.stdout


@pytest.mark.docker
def test_the_image_in_the_sdks_own_local_mode_without_a_plane(
    local_mode: Any, training_file: Path, tmp_path: Path
) -> None:
    script = CHAPTER / "local_mode_notebook.py"
    last = local_mode(script, "sagelocal/linear-learner:1", tmp_path, training_file)

    answer = json.loads(last)
    assert 1100 < answer["predictions"][0]["score"] < 1500

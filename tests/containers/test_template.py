"""The template, as its README has it: every block is run in a copy of the folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sagelocal.cloud.spec import TrainingSpec, load_spec

TEMPLATE = Path(__file__).parents[2] / "containers" / "template"


def _blocks(heading: str) -> list[str]:
    """The shell blocks below a heading of the README."""
    text = (TEMPLATE / "README.md").read_text()
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What a user has copied."""
    folder = tmp_path / "my-image"
    shutil.copytree(TEMPLATE, folder)
    return folder


def _run(block: str, folder: Path) -> str:
    commands = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", block],
        cwd=folder,
        env={**os.environ, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_without_docker(copy: Path) -> None:
    (block,) = _blocks("Without Docker")

    printed = _run(block, copy)

    assert "training on 2 rows, scale 2.0" in printed
    assert json.loads(printed.splitlines()[-1]) == {"answer": 8.0}


@pytest.mark.docker
def test_with_docker(copy: Path) -> None:
    train, serve = _blocks("With Docker")

    trained = _run(train, copy)
    try:
        served = _run(serve, copy)
    finally:
        subprocess.run(["docker", "rm", "--force", "my-image"], capture_output=True)

    assert json.loads(trained.splitlines()[-1]) == {"answer": 8.0}
    assert '{"predictions": [18.0]}' in served


def test_its_job_is_one_that_can_be_launched(copy: Path) -> None:
    (copy / "numbers.csv").write_text("3\n5\n")

    spec = load_spec(copy / "job.toml")

    assert isinstance(spec, TrainingSpec)
    assert spec.common.image == "my-image:1"
    assert spec.channels[0].source == copy / "numbers.csv"


def test_a_program_that_cannot_be_run_is_named(copy: Path) -> None:
    (copy / "train").chmod(0o644)

    done = subprocess.run(
        [Path(sys.executable).with_name("sagelocal"), "train", ".", "--runtime", "process"],
        cwd=copy,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 1
    assert "executables names 'train', which is no program" in done.stderr
    assert "`chmod +x train`" in done.stderr


def test_its_dockerfile_has_at_most_ten_lines() -> None:
    assert len((TEMPLATE / "Dockerfile").read_text().splitlines()) <= 10

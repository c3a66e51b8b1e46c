"""The README's command lines: all of them are ones that the commands take, and some are run."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import click
import joblib
import pandas as pd
import pytest
from sagelocal.cli.main import main
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

README = (Path(__file__).parents[2] / "local_mode" / "README.md").read_text()
LINES = re.findall(r"^    (sagelocal (?:train|serve|invoke|model) .+)$", README, re.MULTILINE)
CALLS = [line for line in LINES if line.startswith("sagelocal invoke")]
# A picture is for no model of these rows, and its endpoint for a plane.
RUN = [line for line in CALLS if "picture" not in line]
BIN = Path(sys.executable).parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the command lines name, with an iris model."""
    rows, species = load_iris(return_X_y=True)
    model = tmp_path / "model-output" / "model"
    for each in (model, tmp_path / "my-code", tmp_path / "my-image", tmp_path / "data"):
        each.mkdir(parents=True)
    joblib.dump(LogisticRegression(max_iter=1000).fit(rows, species), model / "model.joblib")
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(model / "model.joblib", "model.joblib")
    frame = pd.DataFrame(rows, columns=list("abcd"))
    frame.to_csv(tmp_path / "rows.csv", header=False, index=False)
    frame.to_parquet(tmp_path / "rows.parquet")
    return tmp_path


@pytest.mark.parametrize("line", LINES)
def test_every_command_line_is_one_that_the_command_takes(
    line: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    _, name, *arguments = shlex.split(line)
    assert isinstance(main, click.Group)
    command = main.get_command(click.Context(main), name)
    if isinstance(command, click.Group):
        name = arguments.pop(0)
        command = command.get_command(click.Context(command), name)
    assert command is not None

    with command.make_context(name, arguments) as context:
        assert context.params


@pytest.fixture
def served(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of a terminal beside one in which the first line runs; PORT is where."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    environment = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "SAGELOCAL_DATA": str(folder / "plane"),
        "SAGELOCAL_RUNTIME": "process",
        "PORT": port,
    }
    line = next(line for line in LINES if line.startswith("sagelocal serve"))
    with subprocess.Popen(
        ["bash", "-c", f"exec {line} --port {port}"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert any(printed.startswith("Serving model.tar.gz at") for printed in process.stdout)
        yield environment
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert process.returncode == 0


def test_the_lines_that_call_a_model_do(folder: Path, served: dict[str, str]) -> None:
    assert len(RUN) == len(CALLS) - 1 == 3
    for line in RUN:
        done = subprocess.run(
            ["bash", "-c", line.replace("9000", served["PORT"])],
            cwd=folder,
            env=served,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert done.stdout.startswith(("[0", "0\n"))
        assert ("1000 requests in" in done.stderr) is ("--repeat 1000" in line)

"""The README's example runs as it is shown there, and its tables name what there is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import sagelocal_train
from sagelocal_train.errors import UserError
from sagelocal_train.hyperparameters import AUTO, Hyperparameters, Integer

ROOM = Path(__file__).parents[2] / "train"
README = (ROOM / "README.md").read_text(encoding="utf-8")


def _block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_trains_as_shown(tmp_path: Path) -> None:
    (tmp_path / "doubling.py").write_text(_block("python"))
    lines = _block("console").splitlines()
    commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    shown = [line for line in lines if not line.startswith("$ ")]

    done = subprocess.run(
        ["/bin/sh", "-ec", "\n".join(commands)],
        cwd=tmp_path,
        env={"PATH": f"{os.path.dirname(sys.executable)}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-len(shown) :] == shown


def test_the_wrong_hyperparameters_read_as_shown() -> None:
    table = Hyperparameters(
        Integer("mini_batch_size", minimum=1, default=1000),
        Integer("feature_dim", minimum=1, auto=True, default=AUTO),
    )

    with pytest.raises(UserError) as caught:
        table.validate({"mini_batch_siz": "4", "feature_dim": "abc"})

    assert caught.value.failure_text == _block("text").rstrip("\n")


def test_every_module_is_in_the_map() -> None:
    modules = {path.stem for path in (ROOM / "sagelocal_train").glob("[a-z]*.py")}
    table = README.partition("## What is in it")[2].partition("\n## ")[0]
    first_column = " ".join(line.split("|")[1] for line in table.splitlines() if "|" in line)

    assert set(re.findall(r"`(\w+)`", first_column)) == modules


def test_every_variable_that_is_read_is_explained() -> None:
    text = "".join(path.read_text() for path in (ROOM / "sagelocal_train").glob("*.py"))
    read = set(re.findall(r"\"((?:SAGEMAKER|TRAINING|AWS|S3|SM_STUDIO)_[A-Z0-9_]+)\"", text))

    assert [name for name in sorted(read) if f"`{name}`" not in README] == []


def test_the_package_promises_these_names() -> None:
    assert sagelocal_train.__all__ == sorted(
        [
            *("AlgorithmError", "Channel", "Checkpoints", "Environment", "InstanceGroup", "Paths"),
            *("PlatformError", "Resources", "TrainingError", "UserError"),
        ]
    )

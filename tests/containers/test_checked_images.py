"""Our own images keep every rule of `sagelocal check`."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]

SAGELOCAL = Path(sys.executable).with_name("sagelocal")
# Of every family that is tried: its hyperparameters, and rules that need what it has not.
FAMILIES = {
    "linear-learner": (
        {"predictor_type": "regressor", "mini_batch_size": "50"},
        {"non-root", "multi-model", "logs-unbuffered"},
    ),
    "xgboost": (
        {"objective": "reg:squarederror", "num_round": "5"},
        {"non-root", "logs-unbuffered"},
    ),
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv and validation.csv, label first, and row.csv without one."""
    folder = tmp_path_factory.mktemp("rows")
    chance = random.Random(0)
    for name, count in (("train", 300), ("validation", 50)):
        lines = []
        for _ in range(count):
            features = [chance.gauss(0, 1) for _ in range(4)]
            lines.append(",".join(f"{value:.6f}" for value in (sum(features), *features)))
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    (folder / "row.csv").write_text("0.1,0.2,0.3,0.4\n")
    return folder


@pytest.mark.parametrize("family", FAMILIES)
def test_a_built_in_algorithm_keeps_every_rule(family: str, rows: Path) -> None:
    hyperparameters, needless = FAMILIES[family]
    flags = [
        part for name, value in hyperparameters.items() for part in ("--hp", f"{name}={value}")
    ]
    for channel in ("train", "validation"):
        flags += ["--channel", f"{channel}={rows / channel}.csv"]
        flags += ["--content-type", f"{channel}=text/csv"]
    done = subprocess.run(
        [SAGELOCAL, "check", family, *flags, "--request", rows / "row.csv", "--output", "json"],
        capture_output=True,
        text=True,
    )
    assert done.stdout, done.stderr
    findings = json.loads(done.stdout)["findings"]
    assert [each for each in findings if each["outcome"] == "broken"] == []
    untried = {each["rule"] for each in findings if each["outcome"] == "skipped"}
    assert untried <= needless

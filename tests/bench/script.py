"""What script mode adds to a script: our `train` around it against the script alone, in turns."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from sagelocal.runtime.environments import Environments, default_folder
from sagelocal.runtime.images import ImageCatalog

from tests.bench.figures import Figure, report, seconds

ROUNDS = 15
BAR_SECONDS = 0.3
# Both write a model, so that a script that did not run would not count.
SCRIPT = """
import argparse, os
parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int)
epochs = parser.parse_args().epochs
open(os.environ["SM_MODEL_DIR"] + "/model.txt", "w").write(str(sum(range(epochs))))
"""


def measure(folder: Path) -> None:
    """Print the cost of the wrapper."""
    base = folder / "script"
    python = _python()
    variables = _prepare(base, python)
    model = base / "model" / "model.txt"

    def alone() -> None:
        command = [str(python), "train.py", "--epochs", "1000"]
        subprocess.run(command, cwd=base / "code", env=variables, check=True)

    def wrapped() -> None:
        command = [python.with_name("train")]
        subprocess.run(command, env=variables, check=True, stdout=subprocess.DEVNULL)

    bare: list[float] = []
    through: list[float] = []
    for _ in range(ROUNDS):
        for call, times in ((alone, bare), (wrapped, through)):
            model.unlink(missing_ok=True)
            times.append(seconds(call))
            assert model.read_text() == "499500"
    report(
        "A script, by itself and in script mode",
        [
            Figure("the script alone", bare, "s"),
            Figure("`train` around it", through, "s"),
            Figure(
                "difference", [a - b for a, b in zip(through, bare, strict=True)], "s", BAR_SECONDS
            ),
        ],
    )


def _python() -> Path:
    catalog = ImageCatalog.load(None)
    family = catalog.resolve("base")
    assert family is not None
    return Environments(default_folder(), catalog).ready(family).scripts / "python"


def _prepare(base: Path, python: Path) -> dict[str, str]:
    """A job's folder with the script in it; the variables of its container."""
    config = base / "input" / "config"
    for folder in (config, base / "code", base / "model", base / "output"):
        folder.mkdir(parents=True)
    (base / "code" / "train.py").write_text(SCRIPT)
    (config / "hyperparameters.json").write_text(json.dumps({"epochs": "1000"}))
    return {
        "PATH": f"{python.parent}{os.pathsep}/usr/bin:/bin",
        "HOME": str(base),
        "SAGEMAKER_BASE_DIR": str(base),
        "SAGEMAKER_PROGRAM": "train.py",
        "SM_MODEL_DIR": str(base / "model"),
        "PYTHONUNBUFFERED": "1",
    }

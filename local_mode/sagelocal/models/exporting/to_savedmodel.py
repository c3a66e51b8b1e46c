"""TensorFlow's SavedModel, written by TensorFlow itself in the environment of its image family.

TensorFlow is 270 MB and has no place in the environment of a command-line tool; the environment is
the one that the process runtime builds once and keeps. What goes there is numbers and no code of
the model's: a .npz, and a word that says which formula they belong to.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sagelocal.models.errors import ModelError
from sagelocal.models.exporting import formulas
from sagelocal.models.exporting.written import Written
from sagelocal.models.model import Model, Numbers
from sagelocal.runtime.environments import Environments, default_folder
from sagelocal.runtime.images import ImageCatalog
from sagelocal.runtime.interface import RuntimeFault

_PROGRAM = Path(__file__).with_name("savedmodel_program.py")
_FAMILY = "tensorflow"


@dataclass(frozen=True)
class _Formula:
    """What the program is told: arrays by name, and settings."""

    arrays: Mapping[str, Numbers]
    settings: Mapping[str, Any] = field(default_factory=dict)


def export(model: Model, output: Path) -> Written:
    """Write the folder; raises ModelError."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ModelError(f"{output} is there and no empty folder; name another with --output")
    (signature,) = write({output: model})
    return Written(output, f"a SavedModel: {signature}")


def write(models: Mapping[Path, Model]) -> list[str]:
    """Write a folder for each model and say what their signatures are; raises ModelError.

    All are written by one process: TensorFlow takes seconds to begin.
    """
    python = _python()
    with tempfile.TemporaryDirectory(prefix="sagelocal-savedmodel-") as folder:
        jobs = []
        for place, (output, model) in enumerate(models.items()):
            formula = _FAMILIES[model.family or ""](model)
            numbers = Path(folder, f"{place}.npz")
            np.savez(numbers, **formula.arrays)  # type: ignore[arg-type]  # any names
            places = {"numbers": str(numbers), "output": str(output.resolve())}
            jobs.append(json.dumps({"family": model.family, **places, **formula.settings}))
        done = subprocess.run(
            [python, "-I", "-W", "ignore", _PROGRAM],
            input="\n".join(jobs),
            capture_output=True,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
        )
    if done.returncode:
        last = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise ModelError(f"TensorFlow did not write {', '.join(map(str, models))}: {last}")
    return done.stdout.splitlines()


def _python() -> Path:
    """The Python that has TensorFlow."""
    try:
        catalog = ImageCatalog.load()
        family = catalog.resolve(_FAMILY)
        if family is None:
            raise ModelError(f"the image family {_FAMILY}, which would write it, is not there")
        return Environments(default_folder(), catalog).ready(family).scripts / "python"
    except RuntimeFault as error:
        raise ModelError(f"TensorFlow's environment cannot be made: {error}") from error


def _linear(model: Model) -> _Formula:
    found = formulas.linear(model)
    settings = {"link": found.link, "labels": found.labels, "threshold": found.threshold}
    return _Formula({"weights": found.weights.T, "bias": found.bias}, settings)


def _factors(model: Model) -> _Formula:
    found = formulas.factors(model)
    bias = np.array(found.bias, np.float32)
    arrays = {"bias": bias, "linear": found.linear, "factors": found.factors}
    return _Formula(arrays, {"is_binary": found.is_binary})


def _components(model: Model) -> _Formula:
    found = formulas.components(model)
    return _Formula({"mean": found.mean, "components": found.components})


def _centers(model: Model) -> _Formula:
    return _Formula({"centers": formulas.centers(model)})


_FAMILIES: Mapping[str, Callable[[Model], _Formula]] = {
    "linear-learner": _linear,
    "factorization-machines": _factors,
    "pca": _components,
    "kmeans": _centers,
}

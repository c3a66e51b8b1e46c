"""Linear Learner as a bare process: the same environment, commands and data, without a plane."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from sagelocal.runtime.environments import Environments, default_folder
from sagelocal.runtime.images import ImageCatalog, ImageFamily

from tests.bench.figures import wait_until
from tests.bench.plane import free_port

LINEAR_LEARNER = "linear-learner"
HYPERPARAMETERS = {"predictor_type": "regressor", "mini_batch_size": "4"}
ROWS = "".join(f"{985 + 8 * months + months % 7},{months}\n" for months in range(7, 95, 4))


def environment(base: Path, name: str = LINEAR_LEARNER, **more: str) -> dict[str, str]:
    """The variables of an image, with `base` in the place of /opt/ml."""
    family, scripts = _image(name)
    return {
        "PATH": f"{scripts}{os.pathsep}/usr/bin:/bin",
        "HOME": str(base),
        "SAGEMAKER_BASE_DIR": str(base),
        "PYTHONUNBUFFERED": "1",
        **family.environment,
        **more,
    }


def prepare(base: Path) -> None:
    """Fill `base` as /opt/ml of a training job."""
    config = base / "input" / "config"
    train = base / "input" / "data" / "train"
    for folder in (config, train, base / "model", base / "output"):
        folder.mkdir(parents=True)
    (train / "data.csv").write_text(ROWS)
    (config / "hyperparameters.json").write_text(json.dumps(HYPERPARAMETERS))
    (config / "inputdataconfig.json").write_text(
        json.dumps({"train": {"ContentType": "text/csv", "TrainingInputMode": "File"}})
    )
    (config / "resourceconfig.json").write_text(
        json.dumps({"current_host": "algo-1", "hosts": ["algo-1"]})
    )


def train(base: Path, name: str = LINEAR_LEARNER) -> None:
    """Run an image's `train` to its end."""
    subprocess.run(
        [_image(name)[1] / "train"],
        env=environment(base, name),
        check=True,
        stdout=subprocess.DEVNULL,
    )


@contextmanager
def serving(base: Path, model: Path) -> Iterator[str]:
    """Run `serve` with the model of a model.tar.gz; yields host:port at its first healthy ping."""
    folder = base / "model"
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(model) as archive:
        archive.extractall(folder)
    port = free_port()
    process = subprocess.Popen(
        [_image(LINEAR_LEARNER)[1] / "serve"],
        env=environment(base, SAGEMAKER_BIND_TO_PORT=str(port)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: ping(port), 30)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def ping(port: int) -> bool:
    """Whether /ping answers 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@cache
def _image(name: str) -> tuple[ImageFamily, Path]:
    """The family of that name and the folder of its `train` and `serve`."""
    catalog = ImageCatalog.load(None)
    family = catalog.resolve(name)
    assert family is not None
    return family, Environments(default_folder(), catalog).ready(family).scripts

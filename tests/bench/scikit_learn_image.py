"""The scikit-learn image: what it adds to a script's training, and to a model's predict call.

Both are measured in turns with the bare thing, by the same Python and the same packages.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import joblib
import numpy as np
from sagelocal.runtime.environments import Environments, default_folder
from sagelocal.runtime.images import ImageCatalog
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from tests.bench.bare import ping
from tests.bench.figures import Figure, report, seconds, wait_until
from tests.bench.plane import free_port

TRAININGS = 5
REQUESTS = 2000
TRAINING_BAR = 1.02
REQUEST_BAR_MILLISECONDS = 0.3
ROW = b"5.1,3.5,1.4,0.2\n"
REQUEST = (
    b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(ROW), ROW)
)
# About half a minute of training on one core; the time is taken inside, after the imports.
SCRIPT = """
import argparse, json, os, time
import joblib
from sklearn.datasets import make_regression
from sklearn.ensemble import RandomForestRegressor

parser = argparse.ArgumentParser()
parser.add_argument("--trees", type=int)
trees = parser.parse_args().trees
rows, targets = make_regression(4000, 20, random_state=0)
began = time.perf_counter()
model = RandomForestRegressor(trees, random_state=0).fit(rows, targets)
spent = time.perf_counter() - began
joblib.dump(model.estimators_[0], os.environ["SM_MODEL_DIR"] + "/model.joblib")
json.dump(spent, open(os.environ["SM_MODEL_DIR"] + "/seconds.json", "w"))
"""
TREES = 40


def measure(folder: Path) -> None:
    """Print both costs."""
    catalog = ImageCatalog.load(None)
    family = catalog.resolve("scikit-learn")
    assert family is not None
    scripts = Environments(default_folder(), catalog).ready(family).scripts
    variables = {
        "PATH": f"{scripts}{os.pathsep}/usr/bin:/bin",
        "HOME": str(folder),
        "PYTHONUNBUFFERED": "1",
        **catalog.environment(family),
    }
    _measure_training(folder / "scikit-learn-train", scripts, variables)
    _measure_requests(folder / "scikit-learn-serve", scripts, variables)


def _measure_training(base: Path, scripts: Path, variables: dict[str, str]) -> None:
    config = base / "input" / "config"
    for each in (config, base / "code", base / "model", base / "output"):
        each.mkdir(parents=True)
    (base / "code" / "train.py").write_text(SCRIPT)
    (config / "hyperparameters.json").write_text(json.dumps({"trees": str(TREES)}))
    environment = variables | {
        "SAGEMAKER_BASE_DIR": str(base),
        "SAGEMAKER_PROGRAM": "train.py",
        "SM_MODEL_DIR": str(base / "model"),
    }
    commands = {
        "bare": [str(scripts / "python"), str(base / "code" / "train.py"), "--trees", str(TREES)],
        "image": [str(scripts / "train")],
    }
    fits: dict[str, list[float]] = {name: [] for name in commands}
    whole: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(TRAININGS):
        for name, command in commands.items():
            whole[name].append(seconds(lambda command=command: _run(command, environment)))  # type: ignore[misc]
            fits[name].append(json.loads((base / "model" / "seconds.json").read_text()))
    ratios = [a / b for a, b in zip(fits["image"], fits["bare"], strict=True)]
    report(
        "A script's training: the bare interpreter, and the scikit-learn image",
        [
            Figure("fit() under the bare interpreter", fits["bare"], "s"),
            Figure("fit() in the image", fits["image"], "s"),
            Figure("ratio", ratios, "", TRAINING_BAR),
            Figure("the whole script, bare", whole["bare"], "s"),
            Figure("the whole job, `train`", whole["image"], "s"),
        ],
    )


def _run(command: list[str], environment: dict[str, str]) -> None:
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


def _measure_requests(base: Path, scripts: Path, variables: dict[str, str]) -> None:
    rows, species = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=1000).fit(rows, species)
    (base / "model").mkdir(parents=True)
    joblib.dump(model, base / "model" / "model.joblib")
    row = np.array([[5.1, 3.5, 1.4, 0.2]])
    calls: list[float] = []
    requests: list[float] = []
    with _serving(base, scripts, variables) as channel:
        for _ in range(REQUESTS):
            calls.append(1000 * seconds(lambda: model.predict(row)))
            requests.append(1000 * seconds(lambda: _ask(channel)))
    added = statistics.median(requests) - statistics.median(calls)
    report(
        f"One row for a scikit-learn model ({REQUESTS} in turns, one connection)",
        [
            Figure("predict()", calls, "ms"),
            Figure("the same by POST /invocations", requests, "ms"),
            Figure("added at the median", [added], "ms", REQUEST_BAR_MILLISECONDS),
        ],
    )


@contextmanager
def _serving(base: Path, scripts: Path, variables: dict[str, str]) -> Iterator[socket.socket]:
    """A connection to one worker with the model."""
    port = free_port()
    process = subprocess.Popen(
        [scripts / "serve"],
        env=variables
        | {
            "SAGEMAKER_BASE_DIR": str(base),
            "SAGEMAKER_BIND_TO_PORT": str(port),
            "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: ping(port), 60)
        with socket.create_connection(("127.0.0.1", port), 60) as channel:
            channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield channel
    finally:
        process.terminate()
        process.wait()


def _ask(channel: socket.socket) -> None:
    """One request by hand: Python's HTTP client takes longer than the server."""
    channel.sendall(REQUEST)
    answer = b""
    while not answer.endswith(b"\r\n\r\n[0]"):
        piece = channel.recv(65536)
        answer += piece
        if not piece or not b"HTTP/1.1 200".startswith(answer[:12]):
            raise RuntimeError(repr(answer))

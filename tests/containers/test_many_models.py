"""Families that have models of their own, with several of them behind one server."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import xgboost
from sagelocal.runtime.images import ImageCatalog
from sklearn.linear_model import LinearRegression

ROW = np.array([[1.0, 2.0]], dtype=np.float32)
SLOPES = (2.0, -3.0)


def _rows(slope: float) -> tuple[Any, Any]:
    x = np.random.default_rng(1).normal(size=(200, 2)).astype(np.float32)
    return x, slope * x[:, 0] + x[:, 1]


def _xgboost(slope: float, folder: Path) -> float:
    """A model as the built-in algorithm leaves it; its answer for ROW."""
    x, y = _rows(slope)
    booster = xgboost.train({"nthread": 1}, xgboost.DMatrix(x, y), 5)
    (folder / "xgboost-model").write_bytes(pickle.dumps(booster))
    return float(booster.predict(xgboost.DMatrix(ROW))[0])


def _scikit_learn(slope: float, folder: Path) -> float:
    """A model as a notebook saves it; its answer for ROW."""
    model = LinearRegression().fit(*_rows(slope))
    joblib.dump(model, folder / "model.joblib")
    return float(model.predict(ROW)[0])


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Starts a family's server of many models here; its address."""
    catalog = ImageCatalog.load()
    started: list[subprocess.Popen[str]] = []

    def start(name: str) -> str:
        family = catalog.resolve(name)
        assert family is not None
        process = subprocess.Popen(
            [Path(sys.executable).with_name("serve")],
            env={
                **os.environ,
                **catalog.environment(family),
                "PYTHONPATH": os.pathsep.join(map(str, catalog.projects(family))),
                "SAGEMAKER_BASE_DIR": str(tmp_path),
                "SAGEMAKER_BIND_TO_PORT": "0",
                "MODEL_SERVER_HOST": "127.0.0.1",
                "SAGEMAKER_MULTI_MODEL": "true",
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"Listening on \S+ port (\d+)", line):
                return f"http://127.0.0.1:{found[1]}"
        raise AssertionError("the server ended")

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=60)


def _post(url: str, body: bytes, content_type: str) -> bytes:
    request = urllib.request.Request(url, body, {"Content-Type": content_type})
    with urllib.request.urlopen(request, timeout=60) as answer:
        content: bytes = answer.read()
    return content


@pytest.mark.parametrize(
    ("family", "save"), [("xgboost", _xgboost), ("scikit-learn", _scikit_learn)]
)
def test_each_model_of_a_family_gives_its_own_answer(
    family: str,
    save: Callable[[float, Path], float],
    serve: Callable[[str], str],
    tmp_path: Path,
) -> None:
    expected = {}
    for slope in SLOPES:
        folder = tmp_path / "models" / f"slope{slope}" / "model"
        folder.mkdir(parents=True)
        expected[f"slope{slope}"] = save(slope, folder)
    address = serve(family)
    _await(address)
    for name in expected:
        load = {"model_name": name, "url": f"/opt/ml/models/{name}/model"}
        _post(f"{address}/models", json.dumps(load).encode(), "application/json")
    for name, value in expected.items():
        answer = _post(f"{address}/models/{name}/invoke", b"1.0,2.0", "text/csv").decode()
        assert float(answer.strip("[]\n")) == pytest.approx(value, rel=1e-4)


def _await(address: str) -> None:
    """Until it answers /ping with 200; it answers 503 while it starts."""
    while True:
        try:
            with urllib.request.urlopen(f"{address}/ping", timeout=60):
                return
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise

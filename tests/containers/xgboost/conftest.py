"""Small models and data sets, and the folders that a container of the image has."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray
from sagelocal_serve.interface import Request
from sagelocal_serve.media_type import Accept, MediaType
from sagelocal_xgboost import artifact
from sagelocal_xgboost.serving import AlgorithmHandler, Options

ROWS, WIDTH, CLASSES = 80, 5, 3

Labels = Callable[[NDArray[Any]], NDArray[Any]]

LABELS: dict[str, Labels] = {
    "reg": lambda x: 2 * x[:, 0] + x[:, 1],
    "positive": lambda x: np.abs(x[:, 0]) + 0.1,
    "share": lambda x: (x[:, 0] > 0) * 1.0,
    "classes": lambda x: np.digitize(x[:, 0], [-0.4, 0.4]) * 1.0,
}


@pytest.fixture(scope="session")
def family() -> Path:
    """The family's folder."""
    return Path(__file__).parents[3] / "containers" / "xgboost"


@pytest.fixture(scope="session")
def features() -> NDArray[np.float32]:
    """Eighty rows of five features, some missing."""
    random = np.random.default_rng(11)
    x = random.normal(size=(ROWS, WIDTH)).astype(np.float32)
    x[random.uniform(size=x.shape) < 0.1] = np.nan
    return x


@pytest.fixture(scope="session")
def train(features: NDArray[np.float32]) -> Callable[..., xgboost.Booster]:
    """`train("reg:squarederror", rounds=5, **parameters)`, on `features`."""

    def run(objective: str, rounds: int = 5, **parameters: Any) -> xgboost.Booster:
        settings = {"objective": objective, "max_depth": 3, "nthread": 1, "seed": 1, **parameters}
        kind = "reg"
        if objective.startswith("multi:"):
            settings["num_class"], kind = CLASSES, "classes"
        elif objective.startswith(("binary:", "rank:")) or objective == "reg:logistic":
            kind = "share"
        elif objective.startswith(("count:", "survival:")) or objective in (
            "reg:gamma",
            "reg:tweedie",
            "reg:squaredlogerror",
        ):
            kind = "positive"
        labels = LABELS[kind](np.nan_to_num(features))
        data = xgboost.DMatrix(features, labels, nthread=1)
        if objective.startswith("rank:"):
            data.set_group([ROWS // 2, ROWS - ROWS // 2])
        if objective == "survival:aft":
            data.set_float_info("label_lower_bound", labels)
            data.set_float_info("label_upper_bound", labels)
        if parameters.get("booster") == "gblinear":
            del settings["max_depth"]
        return xgboost.train(settings, data, rounds)

    return run


@pytest.fixture
def host(tmp_path: Path) -> Callable[..., AlgorithmHandler]:
    """`host(booster, ..., **options)`: the algorithm serving these models."""

    def start(*boosters: xgboost.Booster, **options: Any) -> AlgorithmHandler:
        for number, booster in enumerate(boosters):
            fold = number if len(boosters) > 1 else None
            artifact.save(booster, tmp_path / "model" / artifact.model_name(fold))
        handler = AlgorithmHandler(Options(**options))
        handler.load(tmp_path / "model")
        return handler

    return start


@pytest.fixture(scope="session")
def request_of() -> Callable[..., Request]:
    """`request_of(body, content_type, accept)`; None for no Content-Type."""

    def make(
        body: bytes | str, content_type: str | None = "text/csv", accept: str | None = None
    ) -> Request:
        headers: Mapping[str, str] = {"content-type": content_type} if content_type else {}
        return Request(
            body=body.encode() if isinstance(body, str) else body,
            content_type=MediaType.parse(content_type or "application/octet-stream"),
            accept=Accept.parse(accept),
            headers=headers,
        )

    return make


@pytest.fixture(scope="session")
def csv_of() -> Callable[[NDArray[Any]], str]:
    """Rows as CSV with all their digits; missing values are empty cells."""

    def text(rows: NDArray[Any]) -> str:
        cells = [["" if np.isnan(v) else repr(float(v)) for v in row] for row in rows]
        return "".join(",".join(row) + "\n" for row in cells)

    return text


@pytest.fixture(scope="session")
def free_ports() -> Callable[[], int]:
    """Finds a port that is free, as the next one is, and that nobody is given who asks for any."""
    return _two_free_ports


def _two_free_ports() -> int:
    """A port that is free, as the next one is, and that nobody is given who asks for any."""
    # Below the kernel's own range, and another place to start at in every worker.
    start = 20_000 + os.getpid() * 2 % 10_000
    for port in itertools.chain(range(start, 30_000, 2), range(20_000, start, 2)):
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("", port))
                second.bind(("", port + 1))
            except OSError:
                continue
            return port
    raise AssertionError("No two neighbouring ports between 20000 and 30000 are free")

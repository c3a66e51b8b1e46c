"""What all peers have in common: the one model, asked in the quickest way of the public API."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import xgboost

PORT = int(os.environ.get("BENCH_PORT", "8080"))
WORKERS = int(os.environ.get("BENCH_WORKERS", "2"))


def load() -> xgboost.Booster:
    """The model of the benchmark, on one thread like ours."""
    booster = xgboost.Booster(model_file=os.environ["BENCH_MODEL"])
    booster.set_param({"nthread": 1})
    return booster


def predict(booster: xgboost.Booster, rows: Any) -> Any:
    """The outputs of rows, without a DMatrix."""
    return booster.inplace_predict(np.asarray(rows, np.float32))


def from_csv(body: bytes) -> Any:
    """The rows of a CSV body."""
    lines = body.decode().split()
    return np.array([line.split(",") for line in lines], np.float32)


def to_csv(predictions: Any) -> bytes:
    """One line for each row."""
    return "\n".join(",".join(map(str, row)) for row in predictions.tolist()).encode() + b"\n"

"""Trains the two models of the serving benchmark; run by an interpreter that has XGBoost."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import xgboost

ROUNDS = 20


def train(folder: Path, rows: int, columns: int, classes: int) -> None:
    """A classifier on noise with a pattern, as SageMaker's algorithm would leave it."""
    random = np.random.default_rng(0)
    features = random.normal(size=(rows, columns)).astype(np.float32)
    labels = (features[:, :classes]).argmax(axis=1)
    parameters = {"objective": "multi:softprob", "num_class": classes, "max_depth": 4}
    booster = xgboost.train(parameters, xgboost.DMatrix(features, labels), ROUNDS)
    folder.mkdir(parents=True)
    booster.save_model(folder / "xgboost-model.ubj")


if __name__ == "__main__":
    base = Path(sys.argv[1])
    train(base / "iris" / "model", 150, 4, 3)
    train(base / "wide" / "model", 2000, 50, 3)

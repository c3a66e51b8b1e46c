"""A linear model of a CSV with the label first."""

import os
from pathlib import Path

import joblib
import numpy as np
from sklearn.linear_model import LinearRegression

(data,) = Path(os.environ["SM_CHANNEL_TRAIN"]).glob("*.csv")
rows = np.loadtxt(data, delimiter=",")
model = LinearRegression().fit(rows[:, 1:], rows[:, 0])
print(f"score={model.score(rows[:, 1:], rows[:, 0]):.3f};")
joblib.dump(model, Path(os.environ["SM_MODEL_DIR"]) / "model.joblib")

"""MLflow: `python flow.py FOLDER` writes the model that `mlflow models serve` then serves."""

from __future__ import annotations

import sys
from typing import Any

import booster
import mlflow


class Iris(mlflow.pyfunc.PythonModel):
    def load_context(self, context: Any) -> None:
        self.model = booster.load()

    # MLflow would take an annotation of the input for a schema.
    def predict(self, context, model_input, params=None):
        return booster.predict(self.model, model_input)


if __name__ == "__main__":
    mlflow.pyfunc.save_model(sys.argv[1], python_model=Iris(), code_paths=["booster.py"])

"""Inference: the artifact behind the hosting contract."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from sagelocal_first_party import Columns, Features, FirstParty, Records
from sagelocal_serve.algorithm import AlgorithmHandler

from sagelocal_knn import model
from sagelocal_knn.model import Model


class Knn(FirstParty[Model]):
    """Labels of rows by their neighbours'."""

    verbose_only = ("distances", "labels")

    # faiss has threads, which do not survive a fork.
    shares_memory: ClassVar[bool] = False

    def read(self, model_dir: Path) -> Model:
        return model.load(model_dir)

    def width(self, model: Model) -> int:
        return model.width

    def answer(self, model: Model, rows: Features) -> Columns:
        """`predicted_label`; in verbose answers `distances` and `labels` of the neighbours."""
        neighbours = model.neighbours(rows)
        return {
            "predicted_label": model.predict(neighbours),
            "distances": neighbours.distances,
            "labels": neighbours.labels,
        }


def app() -> AlgorithmHandler[Model, Records, Columns]:
    """What SAGEMAKER_SERVING_MODULE names."""
    return AlgorithmHandler(Knn())

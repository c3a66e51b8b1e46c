"""Inference: the artifact behind the hosting contract."""

from __future__ import annotations

from pathlib import Path

from sagelocal_first_party import Columns, Features, FirstParty, Records
from sagelocal_serve.algorithm import AlgorithmHandler

from sagelocal_random_cut_forest import model
from sagelocal_random_cut_forest.forest import Forest


class RandomCutForest(FirstParty[Forest]):
    """Anomaly scores of rows."""

    envelope = "scores"

    def read(self, model_dir: Path) -> Forest:
        return model.load(model_dir)

    def width(self, model: Forest) -> int:
        return model.width

    def answer(self, model: Forest, rows: Features) -> Columns:
        """`score`: the higher, the more anomalous."""
        return {"score": model.scores(rows)}


def app() -> AlgorithmHandler[Forest, Records, Columns]:
    """What SAGEMAKER_SERVING_MODULE names."""
    return AlgorithmHandler(RandomCutForest())

"""Inference: the artifact behind the hosting contract."""

from __future__ import annotations

from pathlib import Path

from sagelocal_first_party import Columns, Features, FirstParty, Records
from sagelocal_serve.algorithm import AlgorithmHandler

from sagelocal_pca import model
from sagelocal_pca.model import Projector


class Pca(FirstParty[Projector]):
    """Projections of rows."""

    envelope = "projections"

    def read(self, model_dir: Path) -> Projector:
        return model.load(model_dir)

    def width(self, model: Projector) -> int:
        return model.width

    def answer(self, model: Projector, rows: Features) -> Columns:
        """`projection`: one number per component, the largest component's last."""
        return {"projection": model.project(rows)}


def app() -> AlgorithmHandler[Projector, Records, Columns]:
    """What SAGEMAKER_SERVING_MODULE names."""
    return AlgorithmHandler(Pca())

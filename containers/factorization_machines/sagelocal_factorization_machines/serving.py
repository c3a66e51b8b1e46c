"""Inference: the artifact behind the hosting contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sagelocal_first_party import Columns, FirstParty, Records
from sagelocal_serve.algorithm import AlgorithmHandler

from sagelocal_factorization_machines import model
from sagelocal_factorization_machines.model import THRESHOLD, FactorModel


class FactorizationMachines(FirstParty[FactorModel]):
    """Scores of rows."""

    def read(self, model_dir: Path) -> FactorModel:
        return model.load(model_dir)

    def width(self, model: FactorModel) -> int:
        return model.width

    def predict(self, model: FactorModel, data: Records) -> Columns:
        """Sparse rows, which may be millions of features wide, are scored as they are."""
        return self.answer(model, data)

    def answer(self, model: FactorModel, rows: Records) -> Columns:
        """`score`, and for classifiers `predicted_label`."""
        scores = model.scores(rows)
        columns: Columns = {"score": scores}
        if model.is_binary:
            columns["predicted_label"] = (scores >= THRESHOLD).astype(np.int64)
        return columns


def app() -> AlgorithmHandler[FactorModel, Records, Columns]:
    """What SAGEMAKER_SERVING_MODULE names."""
    return AlgorithmHandler(FactorizationMachines())

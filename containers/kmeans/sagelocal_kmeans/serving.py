"""Inference: the artifact behind the hosting contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sagelocal_first_party import Columns, Features, FirstParty, Records
from sagelocal_serve.algorithm import AlgorithmHandler

from sagelocal_kmeans import model
from sagelocal_kmeans.model import Clusters


class KMeans(FirstParty[Clusters]):
    """Clusters of rows."""

    def read(self, model_dir: Path) -> Clusters:
        return model.load(model_dir)

    def width(self, model: Clusters) -> int:
        return model.width

    def answer(self, model: Clusters, rows: Features) -> Columns:
        """`closest_cluster`, a whole number as float, and the distance to its centre."""
        closest = model.closest(rows)
        return {
            "closest_cluster": closest.labels.astype(np.float32),
            "distance_to_cluster": np.sqrt(closest.squares),
        }


def app() -> AlgorithmHandler[Clusters, Records, Columns]:
    """What SAGEMAKER_SERVING_MODULE names."""
    return AlgorithmHandler(KMeans())

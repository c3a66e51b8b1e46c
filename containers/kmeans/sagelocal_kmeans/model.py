"""A trained model: centres; the closest one of each row, and the artifact `model_algo-1`.

The artifact is an MXNet NDArray file that holds a list of one array, without names: k x features,
as the original writes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sagelocal_first_party import ArtifactError, artifact

from sagelocal_kmeans.distances import Assignment, assign

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Clusters:
    """Centres of clusters: k x features."""

    centers: Floats

    @property
    def width(self) -> int:
        """How many features a row has."""
        return int(self.centers.shape[1])

    def closest(self, rows: Floats) -> Assignment:
        """Each row's cluster and the square of its distance to the cluster's centre."""
        shift = self.centers.mean(axis=0)
        labels = assign(rows - shift, self.centers - shift).labels
        # Of a row near its centre the quick formula leaves few digits.
        away = rows - self.centers[labels]
        return Assignment(labels, np.einsum("ij,ij->i", away, away))

    def save(self, archive: Path) -> None:
        """Write the artifact."""
        artifact.save_arrays(archive, [self.centers])


def load(folder: Path) -> Clusters:
    """The model of a model folder; raises ArtifactError."""
    archive = artifact.found(folder)
    arrays = artifact.read_arrays(archive)
    if len(arrays.arrays) != 1:
        raise ArtifactError(f"{archive.name} holds {len(arrays.arrays)} arrays, not one of centres")
    centers = arrays.dense(0)
    if centers.ndim != 2 or not centers.size:
        raise ArtifactError(f"{archive.name}: the array of centres has the shape {centers.shape}")
    return Clusters(centers.astype(np.float32))

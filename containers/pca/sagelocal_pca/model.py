"""A trained model: a mean and components; projecting rows, and the artifact `model_algo-1`.

The artifact is an MXNet NDArray file of three named arrays, as the original writes them:

    mean   1 x features            what is subtracted from rows (zeros with subtract_mean=false)
    v      features x components   one component per column
    s      components              their singular values, in ascending order

So the largest component is the last one, in the artifact and in answers: projection = (x - mean) v.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sagelocal_first_party import ArtifactError, artifact

Floats = NDArray[np.float32]
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Projector:
    """Projects rows on components."""

    mean: Floats
    components: Floats
    """features x components"""
    singular_values: Floats

    @staticmethod
    def of(mean: Vector, components: Vector, singular_values: Vector) -> Projector:
        """The model of components that may point either way: the largest number is positive."""
        largest = np.abs(components).argmax(axis=0)
        signs = np.sign(components[largest, np.arange(components.shape[1])])
        return Projector(
            mean.astype(np.float32),
            (components * np.where(signs == 0, 1, signs)).astype(np.float32),
            singular_values.astype(np.float32),
        )

    @property
    def width(self) -> int:
        """How many features a row has."""
        return len(self.components)

    def project(self, rows: Floats) -> Floats:
        """Rows x components."""
        centred: Floats = np.subtract(rows, self.mean, dtype=np.float32)
        return centred @ self.components

    def save(self, archive: Path) -> None:
        """Write the artifact."""
        arrays = {"s": self.singular_values, "v": self.components, "mean": self.mean[None, :]}
        artifact.save_arrays(archive, arrays)


def load(folder: Path) -> Projector:
    """The model of a model folder; raises ArtifactError."""
    archive = artifact.found(folder)
    arrays = artifact.read_arrays(archive).by_name()
    for name in ("mean", "v"):
        if name not in arrays:
            found = ", ".join(map(repr, arrays)) or "no named arrays"
            raise ArtifactError(f"{archive.name} has no array {name!r}; it holds {found}")
    mean, components = arrays["mean"].reshape(-1), arrays["v"]
    if components.ndim != 2 or len(components) != len(mean):
        raise ArtifactError(
            f"{archive.name}: 'v' has the shape {components.shape}, which does not fit a mean of "
            f"{len(mean)} features"
        )
    singular_values = arrays.get("s", np.zeros(components.shape[1])).reshape(-1)
    return Projector(*(a.astype(np.float32) for a in (mean, components, singular_values)))

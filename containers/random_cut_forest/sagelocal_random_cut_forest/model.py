"""The artifact `model_algo-1`.

What the original writes is documented nowhere and is read by nothing but the original. Ours is an
MXNet NDArray file of named arrays, which published tools read; what is in them is said in `Cuts`:

    roots       trees            dimensions  cuts        points   leaves x features
    size        1                places      cuts        masses   leaves
                                 children    cuts x 2

Boxes are not saved: they follow from the points. A forest whose trees have a point each has no
cuts; the format knows no empty arrays, and the file has none of the three.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sagelocal_first_party import ArtifactError, artifact

from sagelocal_random_cut_forest.cutting import Cuts
from sagelocal_random_cut_forest.forest import Forest

Arrays = dict[str, NDArray[Any]]

_DIMENSIONS = {
    "roots": 1,
    "dimensions": 1,
    "places": 1,
    "children": 2,
    "points": 2,
    "masses": 1,
    "size": 1,
}
_UNCUT: Arrays = {
    "dimensions": np.empty(0, np.int32),
    "places": np.empty(0, np.float32),
    "children": np.empty((0, 2), np.int32),
}


def arrays_of(forest: Forest) -> Arrays:
    """What is saved of a forest."""
    cuts = forest.cuts
    arrays: Arrays = {
        "roots": cuts.roots,
        "dimensions": cuts.dimensions,
        "places": cuts.places,
        "children": cuts.children,
        "points": cuts.points,
        "masses": cuts.masses,
        "size": np.array([forest.size], np.int32),
    }
    return {name: array for name, array in arrays.items() if array.size}


def save(forest: Forest, archive: Path) -> None:
    """Write the artifact."""
    artifact.save_arrays(archive, arrays_of(forest))


def load(folder: Path) -> Forest:
    """The forest of a model folder; raises ArtifactError."""
    archive = artifact.found(folder)
    arrays: Arrays = artifact.read_arrays(archive).by_name()
    if "roots" in arrays and not _UNCUT.keys() & arrays.keys():
        arrays = {**arrays, **_UNCUT}
    for name, dimensions in _DIMENSIONS.items():
        if name not in arrays:
            found = ", ".join(map(repr, arrays)) or "no named arrays"
            raise ArtifactError(
                f"{archive.name} has no array {name!r}; it holds {found}. Models that the cloud "
                "has trained cannot be read here: train the model with this image"
            )
        if arrays[name].ndim != dimensions:
            raise ArtifactError(f"{archive.name}: {name!r} has the shape {arrays[name].shape}")
    wrong = _first_wrong(arrays)
    if wrong is not None:
        raise ArtifactError(f"{archive.name}: {wrong!r} does not fit the other arrays")
    cuts = Cuts(
        roots=arrays["roots"].astype(np.int32),
        dimensions=arrays["dimensions"].astype(np.int32),
        places=arrays["places"].astype(np.float32),
        children=arrays["children"].astype(np.int32),
        points=arrays["points"].astype(np.float32),
        masses=arrays["masses"].astype(np.int32),
    )
    return Forest.of(cuts, int(arrays["size"][0]))


def _first_wrong(arrays: Arrays) -> str | None:
    """The name of an array that points to where there is nothing, or is of the wrong length."""
    cuts, leaves = len(arrays["places"]), len(arrays["points"])
    children, parents = arrays["children"], np.arange(cuts)[:, None]
    fits = {
        "size": arrays["size"].shape == (1,) and arrays["size"][0] >= 1,
        "masses": len(arrays["masses"]) == leaves and (arrays["masses"] >= 1).all(),
        "dimensions": len(arrays["dimensions"]) == cuts
        and _are_within(arrays["dimensions"], 0, arrays["points"].shape[1]),
        "roots": len(arrays["roots"]) > 0 and _are_within(arrays["roots"], -leaves, cuts),
        "children": children.shape == (cuts, 2)
        and _are_within(children, -leaves, cuts)
        # Else a walk would not end.
        and ((children < 0) | (children > parents)).all(),
    }
    return next((name for name, does in fits.items() if not does), None)


def _are_within(numbers: NDArray[Any], first: int, end: int) -> bool:
    return bool(((numbers >= first) & (numbers < end)).all())

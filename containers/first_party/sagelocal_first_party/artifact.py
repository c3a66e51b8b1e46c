"""The model folder: one file `model_HOST`, which the service packs into model.tar.gz.

What is in it differs: a raw MXNet NDArray file (PCA, KMeans), a ZIP (Linear Learner, Factorization
Machines), an index (k-NN). Here is what finding, packing and reading them has in common.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from numpy.typing import NDArray
from sagelocal_formats import FormatError, mxnet_ndarray
from sagelocal_formats.mxnet_ndarray import NDArrayFile

PATTERN = "model_*"


class ArtifactError(Exception):
    """A model archive that cannot be served: says which file and why."""


def archive_name(host: str) -> str:
    """The archive's file name: hosts share one model folder."""
    return f"model_{host}"


def find(folder: Path) -> Path | None:
    """The archive in a model folder, whichever host wrote it; None if there is none."""
    return next((path for path in sorted(folder.glob(PATTERN)) if path.is_file()), None)


def found(folder: Path) -> Path:
    """The same, where there is no other form; raises ArtifactError."""
    archive = find(folder)
    if archive is None:
        raise ArtifactError(f"The model folder has no model_algo-1; it holds {listing(folder)}")
    return archive


def listing(folder: Path) -> str:
    """What a folder holds, for messages."""
    return ", ".join(sorted(path.name for path in folder.glob("*"))) or "nothing"


def save_arrays(archive: Path, arrays: Mapping[str, NDArray[Any]] | Sequence[NDArray[Any]]) -> None:
    """Write an MXNet NDArray file, as `mx.nd.save` does."""
    mxnet_ndarray.save(archive, arrays)


def read_arrays(archive: Path) -> NDArrayFile:
    """The arrays of an MXNet NDArray file; raises ArtifactError."""
    try:
        return mxnet_ndarray.loads(archive.read_bytes(), archive.name)
    except FormatError as error:
        raise ArtifactError(f"{archive.name} is no readable MXNet NDArray file: {error}") from error


def pack(archive: Path, members: Mapping[str, bytes]) -> None:
    """Write a ZIP: the same members give the same bytes."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, content)


def unpacked(archive: Path) -> dict[str, bytes]:
    """The files of a ZIP by their names without folders; raises ArtifactError."""
    try:
        with zipfile.ZipFile(archive) as packed:
            return {
                PurePosixPath(entry.filename).name: packed.read(entry)
                for entry in packed.infolist()
                if not entry.is_dir()
            }
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ArtifactError(f"{archive.name} is no readable ZIP archive: {error}") from error

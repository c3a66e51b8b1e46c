"""faiss indexes, which k-NN's models are, read without faiss: flat ones whole, others' heads.

Source: `read_index` in faiss/impl/index_read.cpp.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sagelocal.models.errors import ModelError
from sagelocal.models.model import Numbers

_HEAD = struct.Struct("<iqqqBi")
_KINDS = {
    b"IxF2": "faiss.Flat",
    b"IxFI": "faiss.Flat",
    b"IxFl": "faiss.Flat",
    b"IwFl": "faiss.IVFFlat",
    b"IwPQ": "faiss.IVFPQ",
}
_METRICS = {0: "INNER_PRODUCT", 1: "L2"}


@dataclass(frozen=True)
class Index:
    """`points` are the rows of a flat index; `centroids` those that the lists of others have."""

    kind: str
    metric: str
    width: int
    rows: int
    points: Numbers | None = None
    centroids: Numbers | None = None
    lists: int | None = None
    probed_lists: int | None = None


def is_index(begin: bytes) -> bool:
    """Whether a file begins as an index of a kind that k-NN has."""
    return begin[:4] in _KINDS


def read(path: Path) -> Index:
    """Raises ModelError."""
    data = path.read_bytes()
    try:
        return _index(data, 0)[0]
    except (struct.error, ValueError) as error:
        raise ModelError(f"{path.name} is no whole faiss index: {error}") from error


def _index(data: bytes, position: int) -> tuple[Index, int]:
    kind = _KINDS.get(data[position : position + 4])
    if kind is None:
        raise ValueError(f"its kind is {data[position : position + 4]!r}")
    width, rows, _, _, _, metric = _HEAD.unpack_from(data, position + 4)
    position += 4 + _HEAD.size
    if metric > 1:
        position += 4
    name = _METRICS.get(metric, str(metric))
    if kind != "faiss.Flat":
        lists, probed = struct.unpack_from("<QQ", data, position)
        coarse, position = _index(data, position + 16)
        found = Index(kind, name, width, rows, None, coarse.points, lists, probed)
        return found, position
    (count,) = struct.unpack_from("<Q", data, position)
    if count != width * rows:
        raise ValueError(f"{count} numbers for {rows} rows of {width}")
    points = np.frombuffer(data, "<f4", count, position + 8).reshape(rows, width)
    return Index(kind, name, width, rows, points), position + 8 + 4 * count

"""Rows of numbers as the readers hand them over: dense as an array, sparse as three of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SparseRows:
    """Rows as three arrays: row i holds values[indptr[i]:indptr[i+1]] in columns `keys`."""

    indptr: NDArray[np.int64]
    keys: NDArray[np.int64]
    values: NDArray[np.float32]
    width: int

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def to_dense(self) -> NDArray[np.float32]:
        """All rows as a matrix; a column given twice in a row counts with its last value.

        The width is what the input says, however little of it is filled: look at
        `len(rows) * rows.width` first where the input comes from strangers.
        """
        dense = np.zeros((len(self), self.width), np.float32)
        rows = np.repeat(np.arange(len(self)), np.diff(self.indptr))
        dense[rows, self.keys] = self.values
        return dense

    def distinct(self) -> SparseRows:
        """The same rows with no column given twice: its last value counts."""
        owners = np.repeat(np.arange(len(self)), np.diff(self.indptr))
        rises = (np.diff(owners) > 0) | (np.diff(self.keys) > 0)
        if rises.all():
            return self
        # Stable from the end: the first of equals is the last that was given.
        order = np.lexsort((-np.arange(len(owners)), self.keys, owners))
        owners, keys = owners[order], self.keys[order]
        kept = np.concatenate([[True], (np.diff(owners) > 0) | (np.diff(keys) > 0)])
        counts = np.bincount(owners[kept], minlength=len(self))
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return SparseRows(indptr, keys[kept], self.values[order][kept], self.width)


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of a file: features (n x d, or sparse) and one label per row, if there are labels."""

    features: NDArray[Any] | SparseRows
    labels: NDArray[Any] | None

    def __len__(self) -> int:
        return len(self.features)

    @property
    def width(self) -> int:
        """Columns of the features."""
        sparse = isinstance(self.features, SparseRows)
        return self.features.width if sparse else int(self.features.shape[1])  # type: ignore[union-attr]


def ragged(
    starts: NDArray[np.int64], counts: NDArray[np.int64], step: int = 1
) -> NDArray[np.int64]:
    """For each start, `count` positions `step` apart, one list after the other."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    skipped = np.repeat(starts - step * (ends - counts), counts)
    skipped += step * np.arange(total, dtype=np.int64)
    return skipped

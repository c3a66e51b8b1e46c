"""Feature rows as training asks for them: a few at a time, dense, in any order.

Dense data stays where it was read (an array, or a view into a mapped file) and sparse data stays
sparse; only the rows of the batch at hand are gathered. So memory is the data plus a batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sagelocal_formats.record_protobuf import SparseRows

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]


class Rows(Protocol):
    """Rows of features."""

    @property
    def width(self) -> int: ...

    def __len__(self) -> int: ...

    def take(self, indices: Indices) -> Floats:
        """These rows as a new float32 matrix that the caller may change."""
        ...

    def part(self, start: int, stop: int) -> Floats:
        """Rows start..stop as a new float32 matrix that the caller may change."""
        ...


@dataclass(frozen=True, slots=True)
class DenseRows:
    """Rows of a matrix of any float type and any memory layout."""

    matrix: NDArray[np.floating]

    @property
    def width(self) -> int:
        return int(self.matrix.shape[1])

    def __len__(self) -> int:
        return len(self.matrix)

    def take(self, indices: Indices) -> Floats:
        return self.matrix[indices].astype(np.float32, copy=False)

    def part(self, start: int, stop: int) -> Floats:
        return self.matrix[start:stop].astype(np.float32)


@dataclass(frozen=True, slots=True)
class FilledRows:
    """Sparse rows; the zeros appear only in what is taken."""

    sparse: SparseRows

    @property
    def width(self) -> int:
        return self.sparse.width

    def __len__(self) -> int:
        return len(self.sparse)

    def take(self, indices: Indices) -> Floats:
        starts, ends = self.sparse.indptr[indices], self.sparse.indptr[indices + 1]
        lengths = ends - starts
        # The stored entries of all wanted rows, in the order of the rows.
        skipped = np.repeat(starts - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
        entries = np.arange(int(lengths.sum())) + skipped
        dense = np.zeros((len(indices), self.width), np.float32)
        rows = np.repeat(np.arange(len(indices)), lengths)
        dense[rows, self.sparse.keys[entries]] = self.sparse.values[entries]
        return dense

    def part(self, start: int, stop: int) -> Floats:
        return self.take(np.arange(start, min(stop, len(self))))


@dataclass(frozen=True, slots=True)
class Dataset:
    """A channel's content: rows and the label of each, as the files gave it."""

    rows: Rows
    labels: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.labels)

"""Feature rows as training asks for them: a few at a time, dense, in any order.

Dense data stays where it was read (an array, or a view into a mapped file) and sparse data stays
sparse; only the rows of the batch at hand are gathered. So memory is the data plus a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sagelocal_formats.record_protobuf import SparseRows
from sagelocal_train.errors import UserError

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


def batches(rows: Rows, size: int) -> Iterator[Floats]:
    """All rows in order, `size` of them at a time; the last batch holds the rest."""
    for start in range(0, len(rows), size):
        yield rows.part(start, start + size)


def as_sparse(rows: Rows) -> SparseRows:
    """All rows as their entries that are not zero, for algorithms that want them so."""
    if isinstance(rows, FilledRows):
        return rows.sparse
    dense = rows.part(0, len(rows))
    at, keys = np.nonzero(dense)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(at, minlength=len(dense)))])
    return SparseRows(indptr.astype(np.int64), keys.astype(np.int64), dense[at, keys], rows.width)


@dataclass(frozen=True, slots=True)
class Origin:
    """A file, as messages call it, and how many rows of a dataset came from it."""

    name: str
    rows: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """A channel's content: rows and the label of each, as the files gave it.

    `labels` is empty where the algorithm reads none, or the files have none.
    """

    rows: Rows
    labels: NDArray[np.float64]
    origins: tuple[Origin, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, size: int) -> Iterator[Floats]:
        """All rows in order, `size` of them at a time; the last batch holds the rest."""
        return batches(self.rows, size)

    def check_labels(self, right: NDArray[np.bool_], expected: str) -> None:
        """Raise UserError that names the first row whose label is not right, and what would be."""
        wrong = np.flatnonzero(~right)
        if wrong.size:
            raise UserError(
                f"{self.place(int(wrong[0]))}: the label is {self.labels[wrong[0]]:g}; {expected}"
            )

    def place(self, row: int) -> str:
        """Where a row came from, for messages: `train/a.csv, row 3`, counted from 1."""
        for origin in self.origins:
            if row < origin.rows:
                return f"{origin.name}, row {row + 1}"
            row -= origin.rows
        return f"row {row + 1}"

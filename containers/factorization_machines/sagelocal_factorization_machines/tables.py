"""A few rows over the features that occur in them, and the sums over features and rows.

Among millions of features few occur in a batch, and all sums are over those. Where rows share their
features the rows are a dense table, and the sums are matrix products. Where they do not, the table
would be nearly empty; then sums go over the entries, put in order by row or by feature.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sagelocal_formats.rows import SparseRows

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Entries:
    """Of all entries of some rows: the row, the feature, the value; row by row."""

    rows: int
    owners: Indices
    features: Indices
    values: Floats


class Table(Protocol):
    """X: rows x features that occur."""

    def times(self, matrix: Floats) -> Floats:
        """X M; a matrix or a vector."""
        ...

    def squares_times(self, vector: Floats) -> Floats:
        """X² v"""
        ...

    def transposed_times(self, matrix: Floats) -> Floats:
        """Xᵀ M; a matrix or a vector."""
        ...

    def transposed_squares_times(self, vector: Floats) -> Floats:
        """(X²)ᵀ v"""
        ...


class Dense:
    """All cells, zeros as well."""

    def __init__(self, entries: Entries, columns: int, places: Indices) -> None:
        self._cells = np.zeros((entries.rows, columns), np.float32)
        self._cells[entries.owners, places] = entries.values
        self._squares = np.square(self._cells)

    def times(self, matrix: Floats) -> Floats:
        return self._cells @ matrix

    def squares_times(self, vector: Floats) -> Floats:
        return self._squares @ vector

    def transposed_times(self, matrix: Floats) -> Floats:
        return self._cells.T @ matrix

    def transposed_squares_times(self, vector: Floats) -> Floats:
        return self._squares.T @ vector


class Sparse:
    """The cells that are filled. Every column has one at least."""

    def __init__(self, entries: Entries, columns: int, places: Indices) -> None:
        self._rows, self._columns = entries.rows, columns
        self._owners, self._places, self._values = entries.owners, places, entries.values
        self._squares = np.square(entries.values)
        self._by_feature = np.argsort(places, kind="stable")

    def times(self, matrix: Floats) -> Floats:
        return _summed(self._owners, self._rows, self._values, matrix, self._places)

    def squares_times(self, vector: Floats) -> Floats:
        return _summed(self._owners, self._rows, self._squares, vector, self._places)

    def transposed_times(self, matrix: Floats) -> Floats:
        order = self._by_feature
        return _summed(
            self._places[order], self._columns, self._values[order], matrix, self._owners[order]
        )

    def transposed_squares_times(self, vector: Floats) -> Floats:
        return _summed(self._places, self._columns, self._squares, vector, self._owners)


def _summed(
    targets: Indices, count: int, factors: Floats, matrix: Floats, sources: Indices
) -> Floats:
    """Of each of `count` targets, the sum of its factors times rows of the matrix.

    The targets are in order, but for a vector.
    """
    if matrix.ndim == 1:
        return np.bincount(targets, factors * matrix[sources], count).astype(np.float32)
    products = matrix.take(sources, axis=0)
    products *= factors[:, None]
    return summed_in_order(targets, count, products)


def summed_in_order(targets: Indices, count: int, products: Floats) -> Floats:
    """Of each of `count` targets, the sum of its products; the targets are in order."""
    sums = np.zeros((count, products.shape[1]), np.float32)
    if len(targets):
        starts = np.flatnonzero(np.diff(targets, prepend=-1))
        sums[targets[starts]] = np.add.reduceat(products, starts, axis=0)
    return sums


def entries_of(rows: SparseRows, batch: Indices) -> Entries:
    """All entries of these rows."""
    starts = rows.indptr[batch]
    lengths = rows.indptr[batch + 1] - starts
    owners = np.repeat(np.arange(len(batch)), lengths)
    offsets = np.arange(len(owners)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    at = np.repeat(starts, lengths) + offsets
    features, values = rows.keys[at].astype(np.int64), rows.values[at].astype(np.float32)
    return Entries(len(batch), owners, features, values)


def laid_out(entries: Entries, sparse: bool) -> tuple[Indices, Table]:
    """The features that occur in these rows, and a table of the rows over them."""
    features, places = np.unique(entries.features, return_inverse=True)
    kind = Sparse if sparse else Dense
    return features, kind(entries, len(features), places)

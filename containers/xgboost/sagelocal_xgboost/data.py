"""Channels to rows and labels: CSV, libsvm, Parquet and recordio-protobuf.

The label comes first in CSV and Parquet, and with `csv_weights` the weight of the row second; blank
cells of CSV, nulls of Parquet and absent columns of sparse rows are missing values. What is wrong
with a file is said with the file, the row and the next step.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sagelocal_formats import FormatError
from sagelocal_formats.libsvm import read_libsvm
from sagelocal_formats.parquet import read_parquet
from sagelocal_formats.record_protobuf import read_matrix
from sagelocal_formats.rows import SparseRows
from sagelocal_train.config import Channel

from sagelocal_xgboost import csv_rows
from sagelocal_xgboost.channels import CSV, LIBSVM, PARQUET, RECORDIO
from sagelocal_xgboost.declarations import UserError
from sagelocal_xgboost.files import DataFile, opened
from sagelocal_xgboost.matrices import Rows

Floats = NDArray[np.float32]

_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one file. `groups` are queries of rows to rank."""

    name: str
    rows: Rows
    labels: Floats
    weights: Floats | None = None
    groups: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """The rows of a channel."""

    parts: tuple[Part, ...]
    rows: Rows
    labels: Floats
    weights: Floats | None = None
    groups: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def width(self) -> int:
        """Columns of the features."""
        return width_of(self.rows)

    @property
    def is_sparse(self) -> bool:
        """Whether columns may be left out of a row."""
        return isinstance(self.rows, SparseRows)

    def place(self, row: int) -> str:
        """Where a row came from, as `train/a.csv, row 17`."""
        for part in self.parts:
            if row < len(part.labels):
                return f"{part.name}, row {row + 1}"
            row -= len(part.labels)
        raise IndexError(row)


def width_of(rows: Rows) -> int:
    """Columns of dense or sparse rows."""
    return rows.width if isinstance(rows, SparseRows) else int(rows.shape[1])


def read(
    channel: Channel, kind: str, *, weights: bool = False, width: int | None = None
) -> Dataset | None:
    """All rows of a channel; None if it holds none. Raises UserError.

    `weights` says that the second column of CSV is the row's weight; `width` is what other data
    has, so that weights in a channel that may have them or not are seen.
    """
    parts = []
    with opened(channel) as files:
        for file in files:
            part = _READERS[kind](file, weights, width)
            if len(part.labels):
                parts.append(part)
    return joined(parts) if parts else None


def joined(parts: Sequence[Part]) -> Dataset:
    """The rows of several files one after the other; raises UserError where they do not fit."""
    first = parts[0]
    if any(isinstance(part.rows, SparseRows) for part in parts):
        rows: Rows = _joined_sparse([_sparse(part.rows) for part in parts])
    else:
        for part in parts:
            if width_of(part.rows) != width_of(first.rows):
                raise UserError(
                    f"{part.name} has {width_of(part.rows)} features, {first.name} has "
                    f"{width_of(first.rows)}: all files of a channel need the same columns"
                )
        dense = [part.rows for part in parts if not isinstance(part.rows, SparseRows)]
        rows = dense[0] if len(dense) == 1 else np.concatenate(dense)
    return Dataset(
        tuple(parts),
        rows,
        np.concatenate([part.labels for part in parts]),
        _optional(parts, "weights", [part.weights for part in parts]),
        _optional(parts, "groups (qid)", [part.groups for part in parts]),
    )


def _optional(
    parts: Sequence[Part], what: str, values: Sequence[NDArray[Any] | None]
) -> NDArray[Any] | None:
    there = [value for value in values if value is not None]
    if not there:
        return None
    if len(there) != len(parts):
        lacking = next(p.name for p, v in zip(parts, values, strict=True) if v is None)
        raise UserError(f"{lacking} has no {what}, other files of the channel have: all need them")
    return np.concatenate(there)


def _read_csv(file: DataFile, weights: bool, width: int | None) -> Part:
    try:
        table = csv_rows.read(file.path, file.name, threads=True)
    except FormatError as error:
        raise UserError(_unlike(file, "CSV", error)) from error
    return _split(file, table, weights, width)


def _read_parquet(file: DataFile, weights: bool, width: int | None) -> Part:
    try:
        table = read_parquet(file.path, file.name, missing=math.nan).rows
    except FormatError as error:
        raise UserError(f"Failed to load parquet data with exception: {error}") from error
    return _split(file, table, False, None)


def _split(file: DataFile, table: Floats, weights: bool, width: int | None) -> Part:
    """Label, weight and features of a table that has them side by side."""
    if not len(table):
        return Part(file.name, table, np.zeros(0, np.float32))
    has_weights = weights and (width is None or table.shape[1] == width + 2)
    head = 2 if has_weights else 1
    if table.shape[1] <= head:
        needed = "the label, the weight" if has_weights else "the label"
        raise UserError(
            f"{file.name} has {table.shape[1]} column(s); it needs {needed} first and at least one "
            "feature after it"
        )
    found = table[:, 1] if has_weights else None
    part = Part(file.name, table[:, head:], np.ascontiguousarray(table[:, 0]), found)
    _check_numbers(part)
    return part


def _read_libsvm(file: DataFile, weights: bool, width: int | None) -> Part:
    try:
        found = read_libsvm(file.path, file.name)
    except FormatError as error:
        raise UserError(_unlike(file, "LIBSVM", error)) from error
    return Part(file.name, found.features, found.labels, found.weights, found.groups)


def _read_recordio(file: DataFile, weights: bool, width: int | None) -> Part:
    try:
        with file.path.open("rb") as stream:
            # The rows are views into the mapping, which lives as long as they do.
            mapping = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        matrix = read_matrix(memoryview(mapping), file.name)
    except FormatError as error:
        raise UserError(f"Failed to load recordio-protobuf data with exception: {error}") from error
    if matrix.labels is None:
        raise UserError(f"{file.name} has records without a label; training needs one in each")
    rows = matrix.features
    if not isinstance(rows, SparseRows):
        rows = rows.astype(np.float32, copy=False)
    part = Part(file.name, rows, matrix.labels.astype(np.float32))
    _check_numbers(part)
    return part


_READERS: dict[str, Callable[[DataFile, bool, int | None], Part]] = {
    CSV: _read_csv,
    LIBSVM: _read_libsvm,
    PARQUET: _read_parquet,
    RECORDIO: _read_recordio,
}


def _unlike(file: DataFile, format_name: str, error: FormatError) -> str:
    """The original's text for a file that is not what its content type says, and the place."""
    with file.path.open("r", encoding="utf-8", errors="replace") as stream:
        first = next((line for line in stream if line.strip()), "").rstrip("\r\n")[:_SHOWN]
    if error.line not in (None, 1):
        return f"Failed to load {format_name.lower()} data with exception: {error}"
    hint = ""
    if format_name == "LIBSVM" and "," in first:
        hint = " It looks like CSV: set the ContentType of the channel to text/csv."
    return (
        f"First line '{first}...' of file '{file.path.name}' is not '{format_name}' format. "
        f"Please ensure the file is in '{format_name}' format.{hint} ({error})"
    )


def _check_numbers(part: Part) -> None:
    """Labels and weights must be numbers, and nothing infinite; NaN features are missing."""
    for what, values in (("label", part.labels), ("weight", part.weights)):
        if values is not None and not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0])
            raise UserError(
                f"{part.name}, row {row + 1}: the {what} is {values[row]}, not a finite number; "
                "fill it in or leave the row out"
            )
    if part.weights is not None and (part.weights < 0).any():
        row = int(np.flatnonzero(part.weights < 0)[0])
        raise UserError(
            f"{part.name}, row {row + 1}: the weight is {part.weights[row]:g}; weights must be 0 "
            "or more. With csv_weights=1 the second column is the weight"
        )
    values = part.rows.values if isinstance(part.rows, SparseRows) else part.rows
    if np.isinf(values).any():
        raise UserError(
            f"{part.name} has a feature that is infinite; write a missing value as a blank cell"
        )


def _sparse(rows: Rows) -> SparseRows:
    """Dense rows as sparse ones with the same missing values."""
    if isinstance(rows, SparseRows):
        return rows
    places, keys = np.nonzero(~np.isnan(rows))
    lengths = np.bincount(places, minlength=len(rows))
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return SparseRows(indptr, keys.astype(np.int64), rows[places, keys], rows.shape[1])


def _joined_sparse(parts: Sequence[SparseRows]) -> SparseRows:
    if len(parts) == 1:
        return parts[0]
    lengths = np.concatenate([np.diff(part.indptr) for part in parts])
    return SparseRows(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.concatenate([part.keys for part in parts]),
        np.concatenate([part.values for part in parts]),
        max(part.width for part in parts),
    )

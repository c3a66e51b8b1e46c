"""Parquet: columns of numbers to rows of float32 and back.

Needs pyarrow, which is an extra: pip install 'sagelocal-formats[parquet]'. Importing this module
without it raises ImportError that says so. What the columns mean is the caller's to know (XGBoost's
image takes the first as the label); their names come along. Source: the Apache Parquet format.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from sagelocal_formats.errors import FormatError

try:
    import pyarrow
    import pyarrow.parquet
except ModuleNotFoundError as missing:
    raise ImportError(
        "Parquet is read and written by pyarrow, which is not installed; "
        "install the extra: pip install 'sagelocal-formats[parquet]'"
    ) from missing

Buffer = bytes | bytearray | memoryview

_BATCH_ROWS = 1 << 16
_MAGIC = b"PAR1"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with the names of their columns."""

    columns: tuple[str, ...]
    rows: NDArray[np.float32]


def read_parquet(
    source: Path | Buffer, name: str = "<bytes>", *, missing: float | None = None
) -> Table:
    """All rows of a file; raises FormatError naming row and column.

    Columns may hold integers, floats, booleans or decimals. `missing` stands for nulls and NaN;
    without it they are errors, and infinite numbers always are.
    """
    with _opened(source, name) as file:
        columns = _columns(file, name)
        first = 0
        parts = [np.zeros((0, len(columns)), np.float32)]
        for batch in file.iter_batches(_BATCH_ROWS, use_threads=True):
            parts.append(_rows(batch, columns, missing, name, first))
            first += len(parts[-1])
    return Table(columns, np.concatenate(parts) if len(parts) != 2 else parts[1])


def read_parquet_batches(
    source: Path | Buffer,
    name: str = "<bytes>",
    *,
    missing: float | None = None,
    batch_rows: int = _BATCH_ROWS,
) -> Iterator[Table]:
    """The same in pieces of so many rows, for files of any size."""
    with _opened(source, name) as file:
        columns = _columns(file, name)
        first = 0
        for batch in file.iter_batches(batch_rows, use_threads=True):
            rows = _rows(batch, columns, missing, name, first)
            first += len(rows)
            yield Table(columns, rows)


def write_parquet(stream: BinaryIO, rows: NDArray[Any], columns: Sequence[str] = ()) -> None:
    """Write rows; columns without names are called by their numbers. Raises ValueError.

    NaN is written as null.
    """
    names = list(columns) or [str(number) for number in range(rows.shape[1])]
    if len(names) != rows.shape[1]:
        raise ValueError(f"{len(names)} names for {rows.shape[1]} columns")
    table = pyarrow.table(
        [pyarrow.array(rows[:, index], from_pandas=True) for index in range(len(names))],
        names=names,
    )
    pyarrow.parquet.write_table(table, stream)


@contextmanager
def _opened(source: Path | Buffer, name: str) -> Iterator[Any]:
    """The file, whatever pyarrow says about it turned into FormatError."""
    with io.BytesIO(source) if not isinstance(source, Path) else source.open("rb") as stream:
        head = stream.read(len(_MAGIC))
        if head != _MAGIC:
            raise FormatError(
                f"not a Parquet file: found {head!r} where the magic {_MAGIC!r} belongs",
                source=name,
                offset=0,
            )
        try:
            yield pyarrow.parquet.ParquetFile(stream)
        except FormatError:
            raise
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            size = stream.seek(0, io.SEEK_END)
            raise FormatError(
                f"the Parquet file cannot be read: {' '.join(str(error).split())}",
                source=f"{name} ({size} bytes)",
            ) from error


def _columns(file: Any, name: str) -> tuple[str, ...]:
    """The names of the columns; raises FormatError for one that holds no numbers."""
    types = pyarrow.types
    schema = file.schema_arrow
    for field in schema:
        kinds = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
        if not any(kind(field.type) for kind in kinds):
            raise FormatError(
                f"the column {field.name!r} holds {field.type}, not numbers", source=name
            )
    return tuple(schema.names)


def _rows(
    batch: Any, columns: tuple[str, ...], missing: float | None, name: str, first: int
) -> NDArray[np.float32]:
    rows = np.empty((len(batch), len(columns)), np.float32)
    for index, column in enumerate(columns):
        numbers = batch.column(index).cast(pyarrow.float64()).to_numpy(zero_copy_only=False)
        with np.errstate(over="ignore"):
            rows[:, index] = numbers
        _check(rows[:, index], missing, f"column {column!r}", name, first)
    return rows


def _check(
    values: NDArray[np.float32], missing: float | None, column: str, name: str, first: int
) -> None:
    """Put `missing` in the place of nulls; raises FormatError for what may not be."""
    finite = np.isfinite(values)
    if finite.all():
        return
    absent = np.isnan(values)
    bad = np.flatnonzero(~finite if missing is None else ~finite & ~absent)
    if bad.size:
        row = first + int(bad[0]) + 1
        problem = "there is no value" if absent[bad[0]] else "the value is no finite 32-bit number"
        raise FormatError(f"row {row}, {column}: {problem}", source=name)
    values[absent] = missing

"""The two readers behind `csv_table`: polars where it is installed, numpy everywhere.

Both may refuse a file without saying why, and both answer `None` then: the careful reader of
`csv_table` has the last word. Polars is an optional dependency (`sagelocal-formats[fast]`): two to
three times as fast as numpy, and an image of 170 MB more.
"""

from __future__ import annotations

import importlib
import io
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Buffer = bytes | bytearray | memoryview

# Importing polars takes as long as numpy takes for a file of this size.
WORTH_IMPORTING_BYTES = 8 << 20
_COMMA_BLOCK = 1 << 24
_ROWS_WRITTEN = 1 << 16


@cache
def polars() -> ModuleType | None:
    """The module, imported at its first use; None where it is not installed."""
    try:
        return importlib.import_module("polars")
    except ImportError:
        return None


def read_with_polars(
    source: Path | Buffer, width: int, delimiter: str, missing: float | None
) -> Floats | None:
    """The table, `missing` in the place of empty cells; None if anything about it is doubtful."""
    engine = polars()
    # It overlooks an empty cell at the very end.
    if engine is None or _ends_with(source, delimiter):
        return None
    schema = {str(column): engine.Float32 for column in range(width)}
    data = source if isinstance(source, Path) else bytes(source)
    try:
        # Quotes are left to numpy: of one that is never closed polars makes a number, or panics.
        frame = engine.read_csv(
            data, has_header=False, schema=schema, separator=delimiter, quote_char=None
        )
    # A panic of its Rust code is no Exception, and is the file's fault as well.
    except (engine.exceptions.PolarsError, engine.exceptions.PanicException):
        return None
    empty = sum(sum(row) for row in frame.null_count().iter_rows())
    if empty:
        # Short rows and blank lines look the same as empty cells; only their commas are missing.
        if missing is None or width == 1 or not _is_full(source, len(frame), width, delimiter):
            return None
        frame = frame.fill_null(missing)
    table: Floats = frame.to_numpy(order="c")
    return table


def read_with_numpy(text: io.TextIOBase, delimiter: str) -> Floats | None:
    """The table; None if a cell is no number, or rows differ in their length."""
    try:
        with np.errstate(over="ignore"):
            return np.loadtxt(
                text, np.float32, delimiter=delimiter, comments=None, quotechar='"', ndmin=2
            )
    except (ValueError, OverflowError):
        return None


def write_rows(stream: BinaryIO, table: NDArray[np.floating], delimiter: str) -> None:
    """One line for each row, every number with the digits that give it back."""
    engine = polars() if table.nbytes > WORTH_IMPORTING_BYTES else None
    digits = 17 if table.dtype.itemsize > 4 else 9
    line = delimiter.join([f"%.{digits}g"] * table.shape[1]) + "\n"
    for first in range(0, len(table), _ROWS_WRITTEN):
        part = table[first : first + _ROWS_WRITTEN]
        if engine is not None:
            frame = engine.DataFrame(np.ascontiguousarray(part))
            frame.write_csv(stream, include_header=False, separator=delimiter)
        else:
            stream.write("".join([line % tuple(row) for row in part.tolist()]).encode())


def _ends_with(source: Path | Buffer, delimiter: str) -> bool:
    if not isinstance(source, Path):
        return bytes(source[-1:]) == delimiter.encode()
    with source.open("rb") as stream:
        stream.seek(-1, io.SEEK_END)
        return stream.read(1) == delimiter.encode()


def _is_full(source: Path | Buffer, rows: int, width: int, delimiter: str) -> bool:
    """Whether there are as many delimiters as full rows have."""
    delimiters = 0
    with io.BytesIO(source) if not isinstance(source, Path) else source.open("rb") as stream:
        while block := stream.read(_COMMA_BLOCK):
            delimiters += block.count(delimiter.encode())
    return delimiters == rows * (width - 1)

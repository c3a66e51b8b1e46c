"""CSV of numbers, read with pyarrow where it is installed: several times as fast as with numpy.

Whatever is doubtful is left to the careful reader of `sagelocal_formats.csv_table`, which has the
last word and says where a file is wrong. Both read a number as 64 bits and round it to 32.
"""

from __future__ import annotations

import importlib
import math
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sagelocal_formats.csv_table import read_csv

Floats = NDArray[np.float32]

# Importing pyarrow takes as long as numpy takes for some thousand of such bodies.
WORTH_IMPORTING_BYTES = 1 << 14
# In the order in which they are looked for where the first line has no comma.
_DELIMITERS = "\t;| :"
_MISSING = ["", "nan", "NaN", "NAN"]
_HEAD_BYTES = 1 << 16


def read(source: Path | bytes, name: str, *, threads: bool = False) -> Floats:
    """The rows, NaN for empty cells; raises FormatError naming the line and column."""
    head = _head(source)
    delimiter = delimiter_of(head)
    size = source.stat().st_size if isinstance(source, Path) else len(source)
    if size >= WORTH_IMPORTING_BYTES:
        table = read_with_arrow(source, delimiter, head, threads=threads)
        if table is not None:
            return table
    return read_csv(source, name, delimiter=delimiter, missing=math.nan)


def delimiter_of(head: bytes) -> str:
    """What stands between the cells of the first line that is not blank."""
    line = _first_line(head).decode("utf-8", "replace")
    if "," in line:
        return ","
    return next((mark for mark in _DELIMITERS if mark in line), ",")


def read_with_arrow(
    source: Path | bytes, delimiter: str, head: bytes, *, threads: bool = False
) -> Floats | None:
    """The rows; None where pyarrow is not installed, or anything is doubtful."""
    reader = _arrow_csv()
    if reader is None or b'"' in head:
        return None
    pyarrow: Any = importlib.import_module("pyarrow")
    width = _first_line(head).count(delimiter.encode()) + 1
    names = [str(number) for number in range(width)]
    data = str(source) if isinstance(source, Path) else pyarrow.py_buffer(source)
    try:
        table = reader.read_csv(
            data,
            reader.ReadOptions(column_names=names, use_threads=threads),
            reader.ParseOptions(delimiter=delimiter),
            reader.ConvertOptions(
                column_types=dict.fromkeys(names, pyarrow.float64()), null_values=_MISSING
            ),
        )
    except pyarrow.ArrowException:
        return None
    rows = np.empty((table.num_rows, width), np.float32)
    with np.errstate(over="ignore"):
        for index in range(width):
            rows[:, index] = table.column(index).to_numpy()
    return None if not len(rows) or np.isinf(rows).any() else rows


@cache
def _arrow_csv() -> ModuleType | None:
    try:
        return importlib.import_module("pyarrow.csv")
    except ImportError:
        return None


def _head(source: Path | bytes) -> bytes:
    if not isinstance(source, Path):
        return source[:_HEAD_BYTES]
    with source.open("rb") as stream:
        return stream.read(_HEAD_BYTES)


def _first_line(head: bytes) -> bytes:
    return head.lstrip(b"\r\n").split(b"\n", 1)[0].strip(b" \r")

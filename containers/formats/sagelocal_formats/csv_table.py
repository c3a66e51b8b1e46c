"""CSV without a header, as SageMaker's algorithms take it: a table of numbers, read and written.

A fast reader does the work (polars for large files where it is installed, numpy otherwise). When
that refuses a file, or finds what is no finite number, the file is read once more row by row to say
which line, column and value is to blame: a training job fails minutes after it was started, so its
one message has to be enough. The careful reader has the last word: what it can read is read.

Cells may be quoted ("), spaces around numbers and blank lines do not count. Source: RFC 4180, and
the page "Common Data Formats for Training" of the developer guide.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from sagelocal_formats import csv_engine
from sagelocal_formats.csv_engine import Buffer, Floats
from sagelocal_formats.errors import FormatError
from sagelocal_formats.text_lines import no_utf8, refuse_packed, shown

Engine = Literal["auto", "polars", "numpy", "careful"]

# Cells looked at together: few enough to stay in the processor's cache.
_BLOCK = 1 << 16
_MISSING = "the value is missing; fill it in or leave the row out"
# What "surrogateescape" makes of a byte that is no UTF-8.
_NO_UTF8 = re.compile("[\udc80-\udcff]")


def read_csv(
    source: Path | Buffer,
    name: str = "<bytes>",
    *,
    delimiter: str = ",",
    missing: float | None = None,
    engine: Engine = "auto",
) -> Floats:
    """The rows as float32 (n x columns; 0 x 0 without any); raises FormatError naming the file.

    `missing` stands for empty cells and for `nan`; without it both are errors, and infinite numbers
    always are. `engine` is for tests and measurements: "auto" chooses by size.
    """
    with _opened(source) as stream:
        refuse_packed(stream.read(8), name)
    width = _width(source, name, delimiter)
    if not width:
        return np.zeros((0, 0), np.float32)
    table = _fast(source, width, delimiter, missing, engine)
    if table is not None and _is_plain(table, missing):
        return table
    return _careful(source, name, delimiter, missing)


def write_csv(
    stream: BinaryIO,
    features: NDArray[np.floating],
    labels: NDArray[np.floating] | None = None,
    *,
    delimiter: str = ",",
) -> None:
    """Write rows, the label first; reading gives the same numbers back.

    float64 is written with its digits, everything else with those of float32. NaN is an empty cell.
    Raises ValueError for infinite numbers and for labels of another length.
    """
    table = np.atleast_2d(features)
    if labels is not None:
        table = np.column_stack([labels, table])
    table = table.astype(np.float64 if table.dtype == np.float64 else np.float32, copy=False)
    finite = np.isfinite(table)
    if finite.all():
        csv_engine.write_rows(stream, table, delimiter)
        return
    if np.isinf(table).any():
        row, column = np.argwhere(np.isinf(table))[0]
        value = table[row, column]
        raise ValueError(f"row {row + 1}, column {column + 1} is {value}: CSV has none")
    digits = 17 if table.dtype == np.float64 else 9
    for cells in table.tolist():
        texts = ("" if math.isnan(cell) else f"{cell:.{digits}g}" for cell in cells)
        line = delimiter.join(texts)
        # A line of one empty cell would be a blank line.
        stream.write((line or '""').encode() + b"\n")


# --- the fast way ------------------------------------------------------------------------------


def _fast(
    source: Path | Buffer, width: int, delimiter: str, missing: float | None, engine: Engine
) -> Floats | None:
    size = source.stat().st_size if isinstance(source, Path) else len(source)
    if engine == "polars" or (engine == "auto" and size >= csv_engine.WORTH_IMPORTING_BYTES):
        table = csv_engine.read_with_polars(source, width, delimiter, missing)
        if table is not None or engine == "polars":
            return table
    if engine == "careful":
        return None
    with _text(source, errors="strict", newline=None) as lines:
        return csv_engine.read_with_numpy(lines, delimiter)


def _is_plain(table: Floats, missing: float | None) -> bool:
    """Whether there is nothing in it that has to be looked at cell by cell."""
    cells = table.reshape(-1)
    blocks = (cells[first : first + _BLOCK] for first in range(0, len(cells), _BLOCK))
    if all(bool(np.isfinite(block).all()) for block in blocks):
        return True
    return missing is not None and math.isnan(missing) and not np.isinf(table).any()


def _width(source: Path | Buffer, name: str, delimiter: str) -> int:
    """Cells in the first row; 0 if there is none."""
    for _, cells in _rows(source, name, delimiter):
        return len(cells)
    return 0


# --- the careful way ---------------------------------------------------------------------------


def _careful(source: Path | Buffer, name: str, delimiter: str, missing: float | None) -> Floats:
    rows: list[NDArray[np.float32]] = []
    for line, cells in _rows(source, name, delimiter):
        if rows and len(cells) != len(rows[0]):
            before = len(rows[0])
            problem = f"{len(cells)} columns, the lines before it have {before}; all need as many"
            raise FormatError(problem, source=name, line=line)
        rows.append(_row(cells, name, line, missing, is_first=not rows))
    return np.stack(rows)


def _row(
    cells: list[str], name: str, line: int, missing: float | None, *, is_first: bool
) -> NDArray[np.float32]:
    row = np.empty(len(cells), np.float32)
    for column, cell in enumerate(cells):
        number = _number(cell, missing)
        if isinstance(number, str):
            hint = _header_hint(cells, missing) if is_first else ""
            raise FormatError(number + hint, source=name, line=line, column=column + 1)
        row[column] = number
    return row


def _number(cell: str, missing: float | None) -> float | str:
    """The value of a cell, or what is wrong with it."""
    text = cell.strip()
    if not text or (missing is not None and text.lower() == "nan"):
        return _MISSING if missing is None else missing
    try:
        number = float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        number = None
    if number is None and (strange := _NO_UTF8.search(cell)):
        return no_utf8(ord(strange[0]) - 0xDC00)
    if number is None:
        # What pandas makes of get_dummies and of comparisons.
        hint = "; write 1 for True and 0 for False" if text.lower() in ("true", "false") else ""
        return f"{shown(cell)} is not a number{hint}"
    with np.errstate(over="ignore"):
        is_finite = bool(np.isfinite(np.float32(number)))
    return number if is_finite else f"{shown(cell)} is not a finite 32-bit number"


def _header_hint(cells: list[str], missing: float | None) -> str:
    """What to say when the first line looks like names rather than numbers."""
    words = [cell for cell in cells if isinstance(_number(cell, missing), str)]
    names = [cell for cell in words if re.search(r"[A-Za-z_]{2,}", cell)]
    all_are_names = len(words) == len(cells) > 1 and all(re.search(r"[A-Za-z_]", c) for c in cells)
    if len(names) * 2 < len(cells) and not all_are_names:
        return ""
    return ". The line looks like a header; the data must have none: remove it"


def _rows(source: Path | Buffer, name: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row that is not blank, and the number of its last line."""
    with _text(source, errors="surrogateescape", newline="") as lines:
        reader = csv.reader(lines, delimiter=delimiter)
        try:
            for cells in reader:
                if len(cells) > 1 or (cells and cells[0].strip()) or _is_quoted_blank(cells):
                    yield reader.line_num, cells
        except csv.Error as error:
            raise FormatError(
                f"the line is no row of a table: {error}", source=name, line=reader.line_num
            ) from error


def _is_quoted_blank(cells: list[str]) -> bool:
    return cells == [""]


@contextmanager
def _opened(source: Path | Buffer) -> Iterator[BinaryIO]:
    with io.BytesIO(source) if not isinstance(source, Path) else source.open("rb") as stream:
        yield stream


@contextmanager
def _text(source: Path | Buffer, *, errors: str, newline: str | None) -> Iterator[io.TextIOWrapper]:
    with _opened(source) as stream:
        yield io.TextIOWrapper(stream, "utf-8-sig", errors=errors, newline=newline)

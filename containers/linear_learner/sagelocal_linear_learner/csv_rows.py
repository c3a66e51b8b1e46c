"""CSV files without a header to arrays, and what is wrong with those that cannot be read.

numpy's reader does the work. When it refuses a file, the file is read once more line by line to
say which line, column and value is to blame: a training job fails minutes after it was started, so
its one message has to be enough.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sagelocal_train.errors import UserError

_SHOWN = 40
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"PK": "ZIP", b"\xfd7": "xz"}


def read_csv(path: Path, name: str) -> NDArray[np.float32]:
    """The rows of a file as float32; raises UserError naming the file by `name`."""
    try:
        with path.open(encoding="utf-8-sig", newline=None) as lines, np.errstate(over="ignore"):
            table = np.loadtxt(
                lines, np.float32, delimiter=",", comments=None, quotechar='"', ndmin=2
            )
    except (ValueError, OverflowError) as error:
        raise _explained(path, name) or UserError(
            f"{name} cannot be read as CSV: {error}"
        ) from error
    if not np.isfinite(table).all():
        raise _explained(path, name) or UserError(f"{name} holds values that are no finite numbers")
    return table


def _explained(path: Path, name: str) -> UserError | None:
    """Why numpy refused the file; None if no reason is found."""
    with path.open("rb") as opened:
        kind = _COMPRESSED.get(opened.read(2))
    if kind:
        return UserError(
            f"{name} is {kind}-compressed; CSV is read uncompressed (set CompressionType of the "
            "channel to Gzip to have it unpacked on its way)"
        )
    width: int | None = None
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        reader = csv.reader(lines)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            problem = _problem(cells, width)
            if problem:
                hint = _header_hint(cells) if width is None else ""
                return UserError(f"{name}, line {reader.line_num}{problem}{hint}")
            width = len(cells)
    return None


def _problem(cells: list[str], width: int | None) -> str | None:
    if width is not None and len(cells) != width:
        return f": {len(cells)} columns, the lines before it have {width}"
    for column, cell in enumerate(cells, 1):
        reason = _cell_problem(cell)
        if reason:
            return f", column {column}: {reason}"
    return None


def _cell_problem(cell: str) -> str | None:
    if not cell.strip():
        return "the value is missing; fill it in or leave the row out"
    shown = cell if len(cell) <= _SHOWN else cell[:_SHOWN] + "…"
    try:
        number = np.float32(cell)
    except ValueError:
        return f"{shown!r} is not a number"
    if not np.isfinite(number):
        return f"{shown!r} is not a finite 32-bit number"
    return None


def _header_hint(cells: list[str]) -> str:
    """What to say when the first line looks like names rather than numbers."""
    names = [cell for cell in cells if re.search(r"[A-Za-z_]{2,}", cell) and _cell_problem(cell)]
    if len(names) * 2 < len(cells):
        return ""
    return ". The line looks like a header; training data has none: remove it"

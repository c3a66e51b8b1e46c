"""text/csv without a header: one row of numbers per line.

numpy's own reader does the work; what it says about a bad cell is turned into row, column and
value, counted from 1 as an editor counts.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sagelocal_serve.charset import lines_of
from sagelocal_serve.errors import BadRequest

# numpy cuts a long cell off, closing quote included.
_BAD_CELL = re.compile(r"convert string ['\"](.*?)['\"]? to \w+ at row (\d+), column (\d+)", re.S)
_BAD_WIDTH = re.compile(r"number of columns changed from (\d+) to (\d+) at row (\d+)")
_SHOWN = 60


def decode_csv(
    text: str, dtype: DTypeLike = np.float64, *, missing: float | None = None
) -> NDArray[Any]:
    """The rows of a CSV text as a 2-D array; blank lines are skipped.

    `missing` stands for an empty cell; without it an empty cell is an error. Raises BadRequest.
    """
    lines = [line for line in lines_of(text) if line.strip()]
    if not lines:
        raise BadRequest("The CSV body has no rows.")
    if missing is not None:
        lines = [_filled(line, str(missing)) for line in lines]
    try:
        with np.errstate(over="ignore"):
            return np.loadtxt(lines, dtype, delimiter=",", comments=None, quotechar='"', ndmin=2)
    except (ValueError, OverflowError) as error:
        raise BadRequest(_explained(str(error))) from error


def encode_csv(values: Any) -> bytes:
    """Rows of values, one line each; a vector is written as one value per line."""
    array = np.asarray(values)
    if array.ndim > 2:
        array = array.reshape(len(array), -1)
    rows = np.atleast_1d(array).tolist()
    return "".join(_line(row if isinstance(row, list) else [row]) for row in rows).encode()


def _line(cells: list[object]) -> str:
    return ",".join(map(_cell, cells)) + "\n"


def _cell(value: object) -> str:
    text = str(value)
    if any(character in text for character in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _filled(line: str, missing: str) -> str:
    return ",".join(cell if cell.strip() else missing for cell in line.split(","))


def _explained(message: str) -> str:
    if found := _BAD_CELL.search(message):
        # numpy counts rows and columns differently: rows from 0, columns from 1.
        value = found[1] if len(found[1]) <= _SHOWN else found[1][:_SHOWN] + "…"
        place = f"Row {int(found[2]) + 1}, column {found[3]}"
        return f"{place} of the CSV body is {value!r}, no number."
    if found := _BAD_WIDTH.search(message):
        return f"Row {found[3]} of the CSV body has width {found[2]}, those before it {found[1]}."
    return "The CSV body cannot be read as rows of numbers."

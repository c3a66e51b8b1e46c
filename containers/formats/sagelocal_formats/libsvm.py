"""libsvm text: sparse rows, one per line, read and written.

    label[:weight] [qid:group] column:value column:value …     # a comment

Columns count from 0 or from 1: nothing in a file says which. XGBoost (and so SageMaker's image)
takes them as they are, from 0; LIBSVM's own tools and most published files begin with 1. So the
caller says it, and the default is XGBoost's. A column may be left out (zero), in any order, but not
be there twice. Source: LIBSVM's README, and "Text Input Format of DMatrix" of XGBoost.

Plain lines are read together; whatever is out of the ordinary, line by line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from sagelocal_formats.errors import FormatError
from sagelocal_formats.rows import SparseRows
from sagelocal_formats.text_lines import numbered_lines, shown

Buffer = bytes | bytearray | memoryview

# What XGBoost's own indices can hold.
_MAX_COLUMN = (1 << 32) - 1
# Tokens of plain lines: digits, signs, exponents, colons and blanks; nothing Python reads besides.
_PLAIN = b"0123456789+-.eE: \t\r\n"
_APART = (b" :", b": ", b"\t:", b":\t")


@dataclass(frozen=True, slots=True)
class LibsvmRows:
    """The rows of a file; weights and groups (qid) only where the file has them."""

    features: SparseRows
    labels: NDArray[np.float32]
    weights: NDArray[np.float32] | None = None
    groups: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.labels)


def read_libsvm(
    source: Path | Buffer,
    name: str = "<bytes>",
    *,
    first_column: int = 0,
    width: int | None = None,
) -> LibsvmRows:
    """All rows of a file; raises FormatError with the line.

    `first_column` is what the file calls its first column, 0 or 1. `width` is the number of
    columns; without it the largest that occurs decides.
    """
    data = source.read_bytes() if isinstance(source, Path) else bytes(source)
    rows = _read_plain(data, first_column, width)
    return rows if rows is not None else _Lines(name, first_column, width).read(data)


def write_libsvm(stream: BinaryIO, rows: LibsvmRows, *, first_column: int = 0) -> None:
    """Write rows; reading gives the same back."""
    features = rows.features
    bounds = features.indptr.tolist()
    for row, head in enumerate(_heads(rows)):
        part = slice(bounds[row], bounds[row + 1])
        keys = (features.keys[part] + first_column).tolist()
        values = features.values[part].tolist()
        cells = [f"{key}:{value:.9g}" for key, value in zip(keys, values, strict=True)]
        stream.write(" ".join([head, *cells]).encode() + b"\n")


def _heads(rows: LibsvmRows) -> list[str]:
    heads = [f"{label:.9g}" for label in rows.labels.tolist()]
    if rows.weights is not None:
        pairs = zip(heads, rows.weights.tolist(), strict=True)
        heads = [f"{head}:{weight:.9g}" for head, weight in pairs]
    if rows.groups is not None:
        heads = [
            f"{head} qid:{group}" for head, group in zip(heads, rows.groups.tolist(), strict=True)
        ]
    return heads


# --- all lines at once -------------------------------------------------------------------------


def _read_plain(data: bytes, first_column: int, width: int | None) -> LibsvmRows | None:
    """Rows without weights, groups and comments, all in order; None for any others."""
    if data.translate(None, _PLAIN) or any(apart in data for apart in _APART):
        return None
    lines = [line.split() for line in data.replace(b":", b" : ").splitlines()]
    lines = [line for line in lines if line]
    # label, then column : value over and over
    if not lines or any(len(line) % 3 != 1 or b":" in line[:2] for line in lines):
        return None
    tokens = [token for line in lines for token in line]
    counts = np.array([len(line) // 3 for line in lines], np.int64)
    return _assembled(tokens, counts, first_column, width)


def _assembled(
    tokens: list[bytes], counts: NDArray[np.int64], first_column: int, width: int | None
) -> LibsvmRows | None:
    starts = np.concatenate([[0], np.cumsum(3 * counts + 1)[:-1]])
    is_label = np.zeros(len(tokens), bool)
    is_label[starts] = True
    rest = [token for token, label in zip(tokens, is_label.tolist(), strict=True) if not label]
    labels = _finite([tokens[start] for start in starts.tolist()])
    values = _finite(rest[2::3])
    keys = _columns(rest[0::3], first_column)
    if labels is None or values is None or keys is None or any(t != b":" for t in rest[1::3]):
        return None
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    if not _ascending(keys, indptr):
        return None
    found = int(keys.max(initial=-1)) + 1
    if width is not None and found > width:
        return None
    return LibsvmRows(SparseRows(indptr, keys, values, width or found), labels)


def _finite(tokens: Sequence[bytes]) -> NDArray[np.float32] | None:
    try:
        with np.errstate(over="ignore"):
            numbers = np.fromiter(map(float, tokens), np.float64, len(tokens)).astype(np.float32)
    except ValueError:
        return None
    return numbers if bool(np.isfinite(numbers).all()) else None


def _columns(tokens: Sequence[bytes], first_column: int) -> NDArray[np.int64] | None:
    if not all(map(bytes.isdigit, tokens)) or max(map(len, tokens), default=0) > 10:
        return None
    keys = np.fromiter(map(int, tokens), np.int64, len(tokens)) - first_column
    return keys if not keys.size or (keys.min() >= 0 and keys.max() <= _MAX_COLUMN) else None


def _ascending(keys: NDArray[np.int64], indptr: NDArray[np.int64]) -> bool:
    rises = np.diff(keys) > 0
    begins = indptr[1:-1]
    begins = begins[(begins > 0) & (begins < len(keys))]
    rises[begins - 1] = True
    return bool(rises.all())


# --- line by line ------------------------------------------------------------------------------


class _Lines:
    """Rows collected line by line, each checked as it comes."""

    def __init__(self, name: str, first_column: int, width: int | None) -> None:
        self._name = name
        self._first_column = first_column
        self._width = width
        self._labels: list[float] = []
        self._weights: list[float] = []
        self._groups: list[int] = []
        self._keys: list[int] = []
        self._values: list[float] = []
        self._indptr = [0]

    def read(self, data: bytes) -> LibsvmRows:
        """The rows of a file; raises FormatError."""
        for number, line in numbered_lines(data, self._name):
            tokens = line.partition("#")[0].split()
            if tokens:
                self._add(tokens, number)
        width = self._width if self._width is not None else max(self._keys, default=-1) + 1
        features = SparseRows(
            np.array(self._indptr, np.int64),
            np.array(self._keys, np.int64),
            np.array(self._values, np.float32),
            width,
        )
        return LibsvmRows(
            features,
            np.array(self._labels, np.float32),
            np.array(self._weights, np.float32) if self._weights else None,
            np.array(self._groups, np.int64) if self._groups else None,
        )

    def _add(self, tokens: list[str], line: int) -> None:
        label, colon, weight = tokens[0].partition(":")
        cells = tokens[1:]
        self._check_alike("weight", bool(colon), bool(self._weights), line)
        has_group = bool(cells) and cells[0].startswith("qid:")
        self._check_alike("qid", has_group, bool(self._groups), line)
        self._labels.append(self._number(label, "label", line))
        if colon:
            self._weights.append(self._number(weight, "weight", line))
        if has_group:
            self._groups.append(self._group(cells[0], line))
            cells = cells[1:]
        row = sorted(self._cell(cell, line) for cell in cells)
        for (key, _), (following, _) in pairwise(row):
            if key == following:
                column = key + self._first_column
                raise self._error(f"the column {column} is there twice", line)
        self._keys += [key for key, _ in row]
        self._values += [value for _, value in row]
        self._indptr.append(len(self._keys))

    def _check_alike(self, what: str, here: bool, before: bool, line: int) -> None:
        if self._labels and here != before:
            there = "the lines before it have one" if before else "the lines before it have none"
            raise self._error(
                f"a {what} on this line is {'there' if here else 'missing'}; {there}", line
            )

    def _cell(self, cell: str, line: int) -> tuple[int, float]:
        column, colon, value = cell.partition(":")
        if not colon:
            raise self._error(f"{shown(cell)} is not of the form column:value", line)
        if not (column.isascii() and column.isdigit()):
            raise self._error(f"the column {shown(column)} of {shown(cell)} is no number", line)
        # More digits than any column has are not turned into a number at all.
        key = int(column) - self._first_column if len(column) <= 20 else _MAX_COLUMN + 1
        if key < 0:
            raise self._error(
                "the column 0 does not exist where columns count from 1; read the file with "
                "columns from 0",
                line,
            )
        if key > _MAX_COLUMN or (self._width is not None and key >= self._width):
            last = self._width - 1 if self._width is not None else _MAX_COLUMN
            raise self._error(
                f"the column {shown(column)} is beyond the last, {last + self._first_column}", line
            )
        return key, self._number(value, f"value of the column {column}", line)

    def _group(self, cell: str, line: int) -> int:
        digits = cell.removeprefix("qid:")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
            raise self._error(f"{shown(cell)} is no group (qid: and a whole number)", line)
        return int(digits)

    def _number(self, text: str, what: str, line: int) -> float:
        try:
            number = float(text) if text.isascii() and "_" not in text else None
        except ValueError:
            number = None
        if number is None:
            raise self._error(f"the {what} is {shown(text)}, not a number", line)
        with np.errstate(over="ignore"):
            if not np.isfinite(np.float32(number)):
                raise self._error(f"the {what}, {shown(text)}, is no finite 32-bit number", line)
        return number

    def _error(self, problem: str, line: int) -> FormatError:
        return FormatError(problem, source=self._name, line=line)

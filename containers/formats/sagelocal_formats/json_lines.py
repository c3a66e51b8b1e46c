"""JSON Lines: one value per line, plain or as records of features, read and written.

    {"features": [1.5, 16.0]}
    {"data": {"features": {"values": [1.5, 16.0]}}}
    {"data": {"features": {"keys": [26, 182], "shape": [2000], "values": [0, 1]}}}    sparse

The plain values are what DeepAR, BlazingText and many scripts train on; the three forms of records
are those of the built-in algorithms. Blank lines do not count; NaN and Infinity, which Python reads
but JSON does not have, are errors. Source: jsonlines.org, and the page "Common Data Formats for
Inference" of the developer guide.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
from numpy.typing import NDArray

from sagelocal_formats.errors import FormatError
from sagelocal_formats.rows import SparseRows
from sagelocal_formats.text_lines import numbered_lines, shown

Buffer = bytes | bytearray | memoryview

FORMS = '{"features": [...]} or {"data": {"features": {"values": [...]}}}'
_ROWS_WRITTEN = 1 << 12
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class _Row:
    """The features of one line; `keys` and `width` only where they are sparse."""

    line: int
    values: Sequence[Any]
    keys: Sequence[Any] | None = None
    width: int | None = None


def read_json_lines(source: Path | Buffer, name: str = "<bytes>") -> Iterator[Any]:
    """The values in their order; raises FormatError with the line."""
    for _, value in _values(source, name):
        yield value


def read_features(source: Path | Buffer, name: str = "<bytes>") -> NDArray[np.float32] | SparseRows:
    """The records of a file as rows, sparse if any of them is; raises FormatError with the line.

    The width of sparse rows is what the file says, however little of it is filled.
    """
    rows = [_row(value, name, line) for line, value in _values(source, name)]
    if any(row.keys is not None for row in rows):
        return _sparse(rows, name)
    return _dense(rows, name)


def write_json_lines(stream: BinaryIO, values: Iterable[Any]) -> None:
    """One line for each value; raises ValueError for NaN and infinite numbers."""
    for value in values:
        stream.write(json.dumps(value, allow_nan=False).encode() + b"\n")


def write_features(stream: BinaryIO, features: NDArray[np.floating] | SparseRows) -> None:
    """Rows as records, dense or sparse; raises ValueError for NaN and infinite numbers."""
    if isinstance(features, SparseRows):
        write_json_lines(stream, _sparse_records(features))
        return
    for first in range(0, len(features), _ROWS_WRITTEN):
        rows = features[first : first + _ROWS_WRITTEN].tolist()
        write_json_lines(stream, ({"features": row} for row in rows))


def _sparse_records(rows: SparseRows) -> Iterator[dict[str, Any]]:
    bounds = rows.indptr.tolist()
    for row in range(len(rows)):
        part = slice(bounds[row], bounds[row + 1])
        keys, values = rows.keys[part].tolist(), rows.values[part].tolist()
        yield {"data": {"features": {"keys": keys, "shape": [rows.width], "values": values}}}


# --- lines -------------------------------------------------------------------------------------


def _values(source: Path | Buffer, name: str) -> Iterator[tuple[int, Any]]:
    data = source.read_bytes() if isinstance(source, Path) else bytes(source)
    for line, text in numbered_lines(data, name):
        try:
            value = json.loads(text, parse_constant=_refuse_constant)
        except json.JSONDecodeError as error:
            raise FormatError(
                f"no JSON: {error.msg}", source=name, line=line, column=error.colno
            ) from error
        except RecursionError:
            raise FormatError("nested too deeply", source=name, line=line) from None
        except ValueError as error:
            raise FormatError(f"no JSON: {error}", source=name, line=line) from error
        yield line, value


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


# --- records -----------------------------------------------------------------------------------


def _row(record: Any, name: str, line: int) -> _Row:
    features = record.get("features") if isinstance(record, dict) else None
    if isinstance(features, list):
        return _Row(line, features)
    data = record.get("data") if isinstance(record, dict) else None
    tensor = data.get("features") if isinstance(data, dict) else None
    if isinstance(tensor, list):
        return _Row(line, tensor)
    if not isinstance(tensor, dict) or not isinstance(tensor.get("values"), list):
        raise FormatError(f"the record is not of the form {FORMS}", source=name, line=line)
    if "keys" not in tensor:
        return _Row(line, tensor["values"])
    return _sparse_row(tensor, name, line)


def _sparse_row(tensor: dict[str, Any], name: str, line: int) -> _Row:
    keys, shape = tensor["keys"], tensor.get("shape")
    if isinstance(shape, list) and len(shape) == 1:
        shape = shape[0]
    if not isinstance(keys, list) or type(shape) is not int or not 0 <= shape < 1 << 63:
        raise FormatError(
            'a sparse record needs "keys" as a list and "shape" as a list of one number',
            source=name,
            line=line,
        )
    if len(keys) != len(tensor["values"]):
        raise FormatError(
            f"{len(keys)} keys for {len(tensor['values'])} values", source=name, line=line
        )
    for key in keys:
        if type(key) is not int or not 0 <= key < shape:
            raise FormatError(
                f"the key {shown(str(key))} is no whole number from 0 to {shape - 1}",
                source=name,
                line=line,
            )
    return _Row(line, tensor["values"], keys, shape)


def _dense(rows: list[_Row], name: str) -> NDArray[np.float32]:
    """All rows at once; one by one where that fails, to say which is to blame."""
    if not rows:
        return np.zeros((0, 0), np.float32)
    try:
        with np.errstate(over="ignore"):
            table = np.array([row.values for row in rows])
            if table.ndim == 2 and table.dtype.kind in "biuf":
                numbers = table.astype(np.float32)
                if np.isfinite(numbers).all():
                    return numbers
    except (ValueError, OverflowError):
        pass  # Said below, where it is known which record is to blame.
    _check_widths(rows, name)
    return np.stack([_numbers(row, name) for row in rows])


def _sparse(rows: list[_Row], name: str) -> SparseRows:
    width = _check_widths(rows, name)
    indptr = np.concatenate([[0], np.cumsum([len(row.values) for row in rows])])
    keys = [np.arange(len(row.values)) if row.keys is None else row.keys for row in rows]
    return SparseRows(
        indptr.astype(np.int64),
        np.concatenate(keys).astype(np.int64),
        np.concatenate([_numbers(row, name) for row in rows]),
        width,
    )


def _check_widths(rows: list[_Row], name: str) -> int:
    """The width that all rows have."""
    widths = [len(row.values) if row.width is None else row.width for row in rows]
    for row, width in zip(rows, widths, strict=True):
        if width != widths[0]:
            raise FormatError(
                f"{width} features where the first record has {widths[0]}; all need as many",
                source=name,
                line=row.line,
            )
    return widths[0]


def _numbers(row: _Row, name: str) -> NDArray[np.float32]:
    for position, value in enumerate(row.values, 1):
        if not isinstance(value, int | float) or abs(value) > _LARGEST:
            raise FormatError(
                f"{shown(str(value))} at position {position} is no finite 32-bit number",
                source=name,
                line=row.line,
            )
    return np.array(row.values, np.float32)

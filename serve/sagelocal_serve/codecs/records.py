"""The requests that all of Amazon's built-in algorithms read (developer guide: cdf-inference).

JSON writes a record in one of three ways, alone on its line in JSON Lines, in a list named
"instances" in JSON:

    {"features": [1.5, 16.0]}
    {"data": {"features": {"values": [1.5, 16.0]}}}
    {"data": {"features": {"keys": [26, 182], "shape": [2000], "values": [0, 1]}}}    sparse

CSV has one record per line, recordio-protobuf one per `aialgs.data.Record`. All of them become
rows of one float32 matrix; a sparse record is filled up with zeros, unless all are sparse and the
caller takes them so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sagelocal_formats.record_protobuf import SparseRows, read_matrix

from sagelocal_serve.charset import decode_text
from sagelocal_serve.codecs.delimited import decode_csv
from sagelocal_serve.codecs.dense import check_cells, to_dense
from sagelocal_serve.codecs.json_lines import decode_json_lines
from sagelocal_serve.codecs.json_text import decode_json
from sagelocal_serve.errors import BadRequest, UnsupportedMediaType
from sagelocal_serve.media_type import CSV, JSON, JSON_LINES, RECORDIO_PROTOBUF, MediaType

Matrix = NDArray[np.float32]

_FORMS = '{"features": [...]} or {"data": {"features": {"values": [...]}}}'


@dataclass(frozen=True, slots=True)
class Sparse:
    """One sparse record: values at the places that keys name, zeros up to width."""

    keys: Sequence[int]
    values: Sequence[float]
    width: int


Row = Sequence[float] | Sparse


def decode_features(body: bytes, content_type: MediaType, *, width: int | None = None) -> Matrix:
    """The records of a body as rows of finite numbers, `width` columns each if that is given.

    Raises BadRequest saying which record is wrong, or UnsupportedMediaType.
    """
    rows = decode_rows(body, content_type, width=width)
    return to_dense(rows) if isinstance(rows, SparseRows) else rows


def decode_rows(
    body: bytes, content_type: MediaType, *, width: int | None = None
) -> Matrix | SparseRows:
    """As `decode_features`, but records that are all sparse stay so."""
    decode = _DECODERS.get(content_type.canonical)
    if decode is None:
        raise UnsupportedMediaType.of(content_type, FEATURE_TYPES)
    rows, name = decode(body, content_type, width)
    found = rows.width if isinstance(rows, SparseRows) else rows.shape[1]
    if width is not None and found != width:
        raise BadRequest(f"The records have {found} features, the model was trained on {width}.")
    _check_finite(rows, name)
    return rows


def stack(
    rows: Sequence[Row], width: int | None, name: Callable[[int], str]
) -> Matrix | SparseRows:
    """Dense and sparse records as one matrix; `name` tells the caller which record is meant."""
    if not rows:
        raise BadRequest("The request has no records.")
    sparse = [row for row in rows if isinstance(row, Sparse)]
    try:
        if not sparse:
            with np.errstate(over="ignore"):
                matrix = np.array(rows, dtype=np.float32)
            if matrix.ndim == 2:
                return matrix
        elif len(sparse) == len(rows):
            together = _together(sparse, width)
            if together is not None:
                return together
    except (ValueError, TypeError, OverflowError):
        pass  # Said below, where it is known which record is to blame.
    return _stack_one_by_one(rows, width, name)


def _together(rows: Sequence[Sparse], width: int | None) -> SparseRows | None:
    """Sparse records as they are; None if one of them is not as it should be."""
    columns = width if width is not None else rows[0].width
    lengths = [len(row.keys) for row in rows]
    if any(row.width != columns for row in rows) or lengths != [len(row.values) for row in rows]:
        return None
    keys = list(chain.from_iterable(row.keys for row in rows))
    values = list(chain.from_iterable(row.values for row in rows))
    if not set(map(type, keys)) <= {int} or not set(map(type, values)) <= {int, float}:
        return None
    places = np.array(keys, dtype=np.int64)
    if len(places) and not (places.min() >= 0 and places.max() < columns):
        return None
    with np.errstate(over="ignore"):
        numbers = np.array(values, dtype=np.float64).astype(np.float32)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return SparseRows(indptr, places, numbers, columns)


def _stack_one_by_one(rows: Sequence[Row], width: int | None, name: Callable[[int], str]) -> Matrix:
    columns = width if width is not None else _width(rows[0])
    check_cells(len(rows), columns)
    matrix = np.zeros((len(rows), columns), np.float32)
    for index, row in enumerate(rows):
        _fill(matrix[index], row, name(index))
    return matrix


def _width(row: Row) -> int:
    return row.width if isinstance(row, Sparse) else len(row)


def _fill(target: NDArray[np.float32], row: Row, name: str) -> None:
    if _width(row) != len(target):
        raise BadRequest(f"{name} has {_width(row)} features, expected {len(target)}.")
    values = _numbers(row.values if isinstance(row, Sparse) else row, name)
    if not isinstance(row, Sparse):
        target[:] = values
        return
    keys = _numbers(row.keys, f"{name}, keys,")
    if len(keys) != len(values):
        raise BadRequest(f"{name} has {len(keys)} keys and {len(values)} values.")
    if len(keys) and not (keys.min() >= 0 and keys.max() < len(target) and np.all(keys % 1 == 0)):
        raise BadRequest(f"{name} has keys that are no whole numbers from 0 to {len(target) - 1}.")
    target[keys.astype(np.intp)] = values


def _numbers(values: Sequence[float], name: str) -> NDArray[np.float64]:
    for position, value in enumerate(values, 1):
        if not isinstance(value, int | float):
            raise BadRequest(f"{name} has {_short(value)} at position {position}, no number.")
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError as error:
        raise BadRequest(f"{name} has a number too large to be a feature.") from error


def _check_finite(rows: Matrix | SparseRows, name: Callable[[int], str]) -> None:
    finite = np.isfinite(rows.values if isinstance(rows, SparseRows) else rows)
    if finite.all():
        return
    if isinstance(rows, SparseRows):
        entry = int(np.argmin(finite))
        row, column = np.searchsorted(rows.indptr, entry, "right") - 1, rows.keys[entry]
    else:
        row, column = np.argwhere(~finite)[0]
    raise BadRequest(f"{name(int(row))} has no finite 32-bit number at position {column + 1}.")


def _decode_csv(body: bytes, content_type: MediaType, width: int | None) -> Decoded:
    matrix = decode_csv(decode_text(body, content_type), np.float32)
    return matrix, lambda index: f"Row {index + 1} of the CSV body"


def _decode_json(body: bytes, content_type: MediaType, width: int | None) -> Decoded:
    document = decode_json(decode_text(body, content_type))
    instances = document.get("instances") if isinstance(document, dict) else None
    if not isinstance(instances, list):
        raise BadRequest('The JSON body is not of the form {"instances": [...]}.')

    def name(index: int) -> str:
        return f"Instance {index + 1} of the JSON body"

    return stack([_row(r, name(i)) for i, r in enumerate(instances)], width, name), name


def _decode_json_lines(body: bytes, content_type: MediaType, width: int | None) -> Decoded:
    records = decode_json_lines(decode_text(body, content_type))

    def name(index: int) -> str:
        return f"Record {index + 1} of the JSON Lines body"

    return stack([_row(r, name(i)) for i, r in enumerate(records)], width, name), name


def _decode_recordio(body: bytes, content_type: MediaType, width: int | None) -> Decoded:
    try:
        features = read_matrix(body, "the body").features
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"The recordio-protobuf body cannot be read: {error}.") from error
    if not len(features):
        raise BadRequest("The request has no records.")
    if not isinstance(features, SparseRows):
        with np.errstate(over="ignore"):
            features = features.astype(np.float32, copy=False)
    return features, lambda index: f"Record {index + 1} of the recordio-protobuf body"


def _row(record: Any, name: str) -> Row:
    """The features of one JSON record, in whichever of the three ways it is written."""
    features = record.get("features") if isinstance(record, dict) else None
    if isinstance(features, list):
        return features
    data = record.get("data") if isinstance(record, dict) else None
    tensor = data.get("features") if isinstance(data, dict) else None
    if isinstance(tensor, list):
        return tensor
    if not isinstance(tensor, dict) or not isinstance(tensor.get("values"), list):
        raise BadRequest(f"{name} is not of the form {_FORMS}.")
    if "keys" not in tensor:
        return list(tensor["values"])
    return _sparse(tensor, name)


def _sparse(tensor: dict[str, Any], name: str) -> Sparse:
    keys, shape = tensor["keys"], tensor.get("shape")
    if isinstance(shape, list) and len(shape) == 1:
        shape = shape[0]
    if not isinstance(keys, list) or not isinstance(shape, int) or shape < 0:
        raise BadRequest(
            f'{name} is sparse and needs "keys" as a list and "shape" as a list of one number.'
        )
    return Sparse(keys, tensor["values"], shape)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:40] + "…"


Decoded = tuple[Matrix | SparseRows, Callable[[int], str]]

_DECODERS: dict[str, Callable[[bytes, MediaType, int | None], Decoded]] = {
    CSV: _decode_csv,
    JSON: _decode_json,
    JSON_LINES: _decode_json_lines,
    RECORDIO_PROTOBUF: _decode_recordio,
}

#: The content types of `decode_features`.
FEATURE_TYPES = tuple(_DECODERS)

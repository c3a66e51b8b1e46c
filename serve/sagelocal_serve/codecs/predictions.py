"""The answers that all of Amazon's built-in algorithms give (developer guide: cdf-inference).

Predictions come as columns, one array per field with one row per record:

    encode_predictions({"score": scores, "predicted_label": labels}, MediaType.parse(JSON))
        -> b'{"predictions": [{"score": 0.4, "predicted_label": 0}, ...]}'

Some algorithms call the list otherwise (`projections`, `scores`): `envelope` is its key.
JSON Lines has one such object per line, recordio-protobuf one record per row with a float32
tensor per field in its label map, CSV (an extension) the fields' numbers side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sagelocal_formats.record_protobuf import encode_rows

from sagelocal_serve.codecs.delimited import encode_csv
from sagelocal_serve.codecs.json_lines import encode_json_lines
from sagelocal_serve.codecs.json_text import encode_json
from sagelocal_serve.errors import NotAcceptable
from sagelocal_serve.media_type import CSV, JSON, JSON_LINES, RECORDIO_PROTOBUF, MediaType

Columns = Mapping[str, NDArray[Any]]


def encode_predictions(
    columns: Columns, answer: MediaType, *, envelope: str = "predictions"
) -> bytes:
    """The predictions in the format that was negotiated; raises NotAcceptable for another."""
    encode = _ENCODERS.get(answer.canonical)
    if encode is None:
        raise NotAcceptable.of(answer, PREDICTION_TYPES)
    return encode(columns, envelope)


def _objects(columns: Columns) -> list[dict[str, Any]]:
    """One object per record; numbers become Python's, rows of a matrix become lists."""
    names = list(columns)
    values = [np.asarray(column).tolist() for column in columns.values()]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def _encode_json(columns: Columns, envelope: str) -> bytes:
    return encode_json({envelope: _objects(columns)})


def _encode_json_lines(columns: Columns, envelope: str) -> bytes:
    return encode_json_lines(_objects(columns))


def _encode_recordio(columns: Columns, envelope: str) -> bytes:
    return encode_rows({}, {name: np.asarray(c, np.float32) for name, c in columns.items()})


def _encode_csv(columns: Columns, envelope: str) -> bytes:
    rows: list[list[Any]] = [
        [number for value in record.values() for number in np.ravel(value).tolist()]
        for record in _objects(columns)
    ]
    return encode_csv(np.array(rows, dtype=object))


_ENCODERS: dict[str, Callable[[Columns, str], bytes]] = {
    JSON: _encode_json,
    JSON_LINES: _encode_json_lines,
    RECORDIO_PROTOBUF: _encode_recordio,
    CSV: _encode_csv,
}

#: The formats of `encode_predictions`, the default first.
PREDICTION_TYPES = tuple(_ENCODERS)

"""Predictions to bytes, as the original image writes them.

    text/csv           one row per line; the classes of multi:softprob side by side.
                       Old versions: all on one line (see `originals`), classes as a list
    application/json   {"predictions": [{"score": 0.5}, ...]}, a list of scores for multi:softprob
    application/jsonlines, application/x-recordio-protobuf
                       the same records; the original writes these two only with
                       SAGEMAKER_INFERENCE_OUTPUT and fails without it

In batch transform (SAGEMAKER_BATCH) the answer is text whatever was asked for, one prediction a
line, and several numbers as a JSON list. Numbers have the digits of a 64-bit float, as there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sagelocal_formats.record_protobuf import encode_rows
from sagelocal_serve.codecs.json_lines import encode_json_lines
from sagelocal_serve.codecs.json_text import encode_json
from sagelocal_serve.media_type import CSV, JSON, JSON_LINES, RECORDIO_PROTOBUF

from sagelocal_xgboost.csv_text import csv_text

Record = Mapping[str, Any]

OFFERS = (CSV, JSON, JSON_LINES, RECORDIO_PROTOBUF)


def encode_row(values: Sequence[float]) -> bytes:
    """One row's outputs as CSV."""
    return ",".join(map(repr, values)).encode() + b"\n"


def encode(predictions: NDArray[Any], canonical: str) -> bytes:
    """All rows' outputs (n, or n x classes) in one of `OFFERS`."""
    if canonical == CSV:
        return csv_text(predictions)
    if canonical == RECORDIO_PROTOBUF:
        return encode_rows({}, {"score": np.asarray(predictions, np.float32)})
    records = [{"score": row} for row in predictions.tolist()]
    return encode_records(records, canonical, ("score",))


def encode_on_one_line(predictions: NDArray[Any]) -> bytes:
    """CSV as old versions wrote it: commas between the predictions, and no line end."""
    return ",".join(map(str, predictions.tolist())).encode()


def encode_batch(predictions: NDArray[Any]) -> bytes:
    """The answer of batch transform."""
    return "\n".join(map(str, predictions.tolist())).encode() + b"\n"


def encode_records(records: Sequence[Record], canonical: str, keys: Sequence[str]) -> bytes:
    """Records of several fields in one of `OFFERS`; CSV has the fields in the order of `keys`."""
    return _ENCODERS[canonical](records, keys)


def _json(records: Sequence[Record], keys: Sequence[str]) -> bytes:
    return encode_json({"predictions": list(records)})


def _json_lines(records: Sequence[Record], keys: Sequence[str]) -> bytes:
    return encode_json_lines(list(records))


def _csv(records: Sequence[Record], keys: Sequence[str]) -> bytes:
    lines = (",".join(_cell(record[key]) for key in keys) for record in records)
    return "\n".join(lines).encode() + b"\n"


def _cell(value: object) -> str:
    return f'"{value}"' if isinstance(value, list) else str(value)


def _recordio(records: Sequence[Record], keys: Sequence[str]) -> bytes:
    columns = {key: np.array([record[key] for record in records], np.float32) for key in keys}
    return encode_rows({}, columns)


_ENCODERS: dict[str, Callable[[Sequence[Record], Sequence[str]], bytes]] = {
    CSV: _csv,
    JSON: _json,
    JSON_LINES: _json_lines,
    RECORDIO_PROTOBUF: _recordio,
}

"""`decode(body, content_type)`: a request of CSV, libsvm or recordio-protobuf as a DMatrix."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import xgboost
from sagelocal_serve.media_type import CSV, RECORDIO_PROTOBUF, MediaType
from sagelocal_xgboost import requests
from sagelocal_xgboost.matrices import dmatrix
from sagemaker_inference.errors import UnsupportedFormatError

Body = str | bytes | bytearray


def csv_to_dmatrix(input: Body, dtype: Any = None) -> xgboost.DMatrix:
    """Rows without a label, of any delimiter; an empty cell is missing. `dtype` is float32.

    Raises UnsupportedMediaType for what is no such row.
    """
    return _read(input, CSV)


def libsvm_to_dmatrix(string_like: Body) -> xgboost.DMatrix:
    """Rows with a label or without one; raises UnsupportedMediaType."""
    return _read(string_like, requests.LIBSVM[0])


def recordio_protobuf_to_dmatrix(string_like: Body) -> xgboost.DMatrix:
    """Dense or sparse records; raises UnsupportedMediaType."""
    return _read(string_like, RECORDIO_PROTOBUF)


def json_to_jsonlines(json_data: dict[str, Any] | str) -> bytes:
    """`{"predictions": [...]}` as a line for each prediction; ValueError for several members."""
    document = json_data if isinstance(json_data, dict) else json.loads(json_data)
    if len(document) != 1:
        raise ValueError("JSON response is not compatible for conversion to jsonlines.")
    (records,) = document.values()
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


_DECODERS: dict[str, Callable[[Body], xgboost.DMatrix]] = {
    CSV: csv_to_dmatrix,
    RECORDIO_PROTOBUF: recordio_protobuf_to_dmatrix,
    **dict.fromkeys(requests.LIBSVM, libsvm_to_dmatrix),
}


def decode(obj: Body, content_type: str) -> xgboost.DMatrix:
    """The body as a DMatrix; raises UnsupportedFormatError, UnsupportedMediaType."""
    read = _DECODERS.get(MediaType.parse(content_type).essence)
    if read is None:
        raise UnsupportedFormatError(content_type)
    return read(obj)


def _read(body: Body, content_type: str) -> xgboost.DMatrix:
    raw = body.encode() if isinstance(body, str) else bytes(body)
    return dmatrix(requests.read(raw, MediaType.parse(content_type)))

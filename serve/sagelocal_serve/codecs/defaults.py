"""The input_fn and output_fn of scripts that bring none.

As in SageMaker's toolkits a CSV body of one row becomes a vector, JSON becomes whatever array
its lists make, and the answer is JSON unless the caller prefers CSV or npy. Unlike there, a type
that is not read is a 415, one that cannot be written a 406, and a pickle in an .npy body a 400.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sagelocal_serve.codecs.delimited import decode_csv, encode_csv
from sagelocal_serve.codecs.json_lines import decode_json_lines, encode_json_lines
from sagelocal_serve.codecs.json_text import as_array, decode_json, encode_json, plain
from sagelocal_serve.codecs.npy import decode_npy, encode_npy
from sagelocal_serve.codecs.text import decode_text
from sagelocal_serve.errors import BadRequest, NotAcceptable, UnsupportedMediaType
from sagelocal_serve.media_type import CSV, JSON, JSON_LINES, NPY, Accept, MediaType


def input_fn(body: bytes | str, content_type: str) -> Any:
    """The body as an array; raises BadRequest or UnsupportedMediaType."""
    media_type = MediaType.parse(content_type)
    decode = _DECODERS.get(media_type.canonical)
    if decode is None:
        raise UnsupportedMediaType.of(content_type, _DECODERS)
    raw = body.encode() if isinstance(body, str) else body
    if not raw:
        raise BadRequest("The request has an empty body.")
    return decode(raw, media_type)


def output_fn(prediction: Any, accept: str) -> tuple[bytes, str]:
    """The prediction in the first format of the Accept list that can be written."""
    chosen = Accept.parse(accept).choose(tuple(_ENCODERS))
    if chosen is None:
        raise NotAcceptable.of(accept, _ENCODERS)
    return _ENCODERS[chosen.canonical](prediction), str(chosen)


def _read_csv(body: bytes, content_type: MediaType) -> Any:
    return np.squeeze(decode_csv(decode_text(body, content_type), missing=np.nan))


def _read_json(body: bytes, content_type: MediaType) -> Any:
    return as_array(decode_json(decode_text(body, content_type)))


def _read_json_lines(body: bytes, content_type: MediaType) -> Any:
    return as_array(decode_json_lines(decode_text(body, content_type)))


def _read_npy(body: bytes, content_type: MediaType) -> Any:
    return decode_npy(body)


def _rows(prediction: Any) -> Any:
    try:
        value = plain(prediction)
    except TypeError:
        value = prediction
    return value if isinstance(value, list) else [value]


def _write_json_lines(prediction: Any) -> bytes:
    return encode_json_lines(_rows(prediction))


def _write_csv(prediction: Any) -> bytes:
    return encode_csv(np.array(_rows(prediction)))


_DECODERS: dict[str, Callable[[bytes, MediaType], Any]] = {
    JSON: _read_json,
    CSV: _read_csv,
    JSON_LINES: _read_json_lines,
    NPY: _read_npy,
}

_ENCODERS: dict[str, Callable[[Any], bytes]] = {
    JSON: encode_json,
    CSV: _write_csv,
    NPY: encode_npy,
    JSON_LINES: _write_json_lines,
}

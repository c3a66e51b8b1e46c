"""The input_fn and output_fn of scripts that bring none.

As in SageMaker's toolkits a CSV body of one row becomes a vector, JSON becomes whatever array
its lists make, an .npz body a sparse matrix of scipy, and the answer is JSON unless the caller
prefers CSV or npy. Unlike there, a type that is not read is a 415, one that cannot be written a
406, and a pickle in an .npy body a 400. libsvm and recordio-protobuf become dense matrices,
pictures (height, width, 3) bytes. What needs a package that is not installed is a 415.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sagelocal_formats.record_protobuf import read_matrix
from sagelocal_formats.rows import SparseRows

from sagelocal_serve.charset import decode_text
from sagelocal_serve.codecs import images, npz, parquet
from sagelocal_serve.codecs.delimited import decode_csv, encode_csv
from sagelocal_serve.codecs.dense import to_dense
from sagelocal_serve.codecs.json_lines import decode_json_lines, encode_json_lines
from sagelocal_serve.codecs.json_text import as_array, decode_json, encode_json, plain
from sagelocal_serve.codecs.libsvm import decode_libsvm
from sagelocal_serve.codecs.npy import decode_npy, encode_npy
from sagelocal_serve.errors import BadRequest, NotAcceptable, UnsupportedMediaType
from sagelocal_serve.media_type import (
    CSV,
    JSON,
    JSON_LINES,
    LIBSVM,
    NPY,
    NPZ,
    PARQUET,
    RECORDIO_PROTOBUF,
    Accept,
    MediaType,
)


def input_fn(body: bytes | str, content_type: str) -> Any:
    """The body as an array; raises BadRequest or UnsupportedMediaType."""
    media_type = MediaType.parse(content_type)
    decode = _DECODERS.get(media_type.canonical)
    if decode is None:
        raise UnsupportedMediaType.of(content_type, _DECODERS)
    if isinstance(body, str):
        # Text already, whatever charset it came in.
        body, media_type = body.encode(), MediaType.parse(media_type.essence)
    if not body:
        raise BadRequest("The request has an empty body.")
    return decode(body, media_type)


def output_fn(prediction: Any, accept: str) -> tuple[bytes | Iterator[bytes], str]:
    """The prediction in the first format of the Accept list that can be written.

    One that is a generator is streamed, a line for each value, where the format has lines.
    """
    chosen = Accept.parse(accept).choose(tuple(_ENCODERS))
    if chosen is None:
        raise NotAcceptable.of(accept, _ENCODERS)
    if hasattr(prediction, "__next__"):
        if line := _LINES.get(chosen.canonical):
            return map(line, prediction), str(chosen)
        prediction = list(prediction)
    return _ENCODERS[chosen.canonical](prediction), str(chosen)


def _read_csv(body: bytes, content_type: MediaType) -> Any:
    return np.squeeze(decode_csv(decode_text(body, content_type), missing=np.nan))


def _read_json(body: bytes, content_type: MediaType) -> Any:
    return as_array(decode_json(decode_text(body, content_type)))


def _read_json_lines(body: bytes, content_type: MediaType) -> Any:
    return as_array(decode_json_lines(decode_text(body, content_type)))


def _read_recordio(body: bytes) -> Any:
    try:
        features = read_matrix(body, "the body").features
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"The recordio-protobuf body cannot be read: {error}.") from error
    return to_dense(features) if isinstance(features, SparseRows) else features


def _of_bytes(decode: Callable[[bytes], Any]) -> Callable[[bytes, MediaType], Any]:
    return lambda body, _: decode(body)


def _read_image(body: bytes, content_type: MediaType) -> Any:
    return images.decode_image(body, content_type.canonical)


def _rows(prediction: Any) -> Any:
    value = _plain(prediction)
    return value if isinstance(value, list) else [value]


def _plain(value: Any) -> Any:
    try:
        return plain(value)
    except TypeError:
        return value


def _write_json_lines(prediction: Any) -> bytes:
    return encode_json_lines(_rows(prediction))


def _write_csv(prediction: Any) -> bytes:
    return encode_csv(np.array(_rows(prediction)))


def _write_npy(prediction: Any) -> bytes:
    try:
        return encode_npy(prediction)
    except ValueError as error:
        raise NotAcceptable(
            f"The prediction is no array of numbers or text and cannot be written as {NPY}. "
            f"Ask for {JSON}."
        ) from error


_DECODERS: dict[str, Callable[[bytes, MediaType], Any]] = {
    JSON: _read_json,
    CSV: _read_csv,
    JSON_LINES: _read_json_lines,
    NPY: _of_bytes(decode_npy),
    LIBSVM: _of_bytes(decode_libsvm),
    RECORDIO_PROTOBUF: _of_bytes(_read_recordio),
    **({PARQUET: _of_bytes(parquet.decode_parquet)} if parquet.AVAILABLE else {}),
    **({NPZ: _of_bytes(npz.decode_npz)} if npz.AVAILABLE else {}),
    **(dict.fromkeys(images.FORMATS, _read_image) if images.AVAILABLE else {}),
}

_ENCODERS: dict[str, Callable[[Any], bytes]] = {
    JSON: encode_json,
    CSV: _write_csv,
    NPY: _write_npy,
    JSON_LINES: _write_json_lines,
}

_LINES: dict[str, Callable[[Any], bytes]] = {
    JSON_LINES: lambda value: encode_json_lines([value]),
    CSV: lambda value: encode_csv(np.array([_plain(value)])),
}

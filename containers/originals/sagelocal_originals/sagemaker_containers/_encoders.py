"""`encode` and `decode` of JSON, CSV and npy, as the older images did.

CSV differs from sagemaker_inference's: cells with commas, quotes or line ends are quoted, and text
is read as text. An npy body is never a pickle, which would run the caller's code.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from sagelocal_serve.codecs.npy import decode_npy, encode_npy
from sagelocal_serve.media_type import MediaType
from sagemaker_inference.encoder import _array_to_json as array_to_json

from sagemaker_containers import _content_types
from sagemaker_containers._errors import ClientError, UnsupportedFormatError

Body = str | bytes | bytearray


def array_to_npy(array_like: Any) -> bytes:
    """A file of numpy's own format."""
    return encode_npy(array_like)


def npy_to_numpy(npy_array: bytes) -> Any:
    """The array in an .npy file."""
    return decode_npy(bytes(npy_array))


def json_to_numpy(string_like: Body, dtype: DTypeLike | None = None) -> Any:
    """Whatever array the lists make."""
    return np.array(json.loads(string_like), dtype=dtype)


def csv_to_numpy(string_like: Body, dtype: DTypeLike | None = None) -> Any:
    """Rows, or a vector of one row or column: numbers, or text where not all cells are numbers.

    Raises ClientError for a dtype that the cells do not have.
    """
    text = string_like if isinstance(string_like, str) else bytes(string_like).decode()
    try:
        cells = np.array(list(csv.reader(io.StringIO(text), strict=True))).squeeze()
    except (csv.Error, ValueError) as error:
        raise ClientError(f"Error while decoding csv: {error}") from error
    try:
        return cells.astype(dtype or np.float64)
    except ValueError as error:
        if dtype is None:
            return cells
        raise ClientError(f"Error while writing numpy array: {error}. dtype is: {dtype}") from error


def array_to_csv(array_like: Any) -> str:
    """A line for each row, or for each value of a vector."""
    array = np.atleast_1d(array_like)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n", strict=True)
    writer.writerows(array.reshape(-1, 1) if array.ndim == 1 else array)
    return stream.getvalue()


_encoders_map: dict[str, Callable[[Any], str | bytes]] = {
    _content_types.NPY: array_to_npy,
    _content_types.CSV: array_to_csv,
    _content_types.JSON: array_to_json,
}
_decoders_map: dict[str, Callable[[Any], Any]] = {
    _content_types.NPY: npy_to_numpy,
    _content_types.CSV: csv_to_numpy,
    _content_types.JSON: json_to_numpy,
}


def encode(array_like: Any, content_type: str) -> str | bytes:
    """The array, number, list or dict in that format; raises UnsupportedFormatError."""
    write = _encoders_map.get(MediaType.parse(content_type).essence)
    if write is None:
        raise UnsupportedFormatError(content_type)
    return write(array_like)


def decode(obj: Body, content_type: str) -> Any:
    """The body as an array; raises UnsupportedFormatError."""
    read = _decoders_map.get(MediaType.parse(content_type).essence)
    if read is None:
        raise UnsupportedFormatError(content_type)
    return read(obj)


__all__ = [
    "array_to_csv",
    "array_to_json",
    "array_to_npy",
    "csv_to_numpy",
    "decode",
    "encode",
    "json_to_numpy",
    "npy_to_numpy",
]

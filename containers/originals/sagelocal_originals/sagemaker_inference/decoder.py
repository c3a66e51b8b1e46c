"""`decode(body, content_type)`: a request of JSON, CSV, npy or npz as an array.

An npy body is never a pickle, which would run the caller's code.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from sagelocal_serve.codecs.npy import decode_npy
from sagelocal_serve.codecs.npz import decode_npz
from sagelocal_serve.media_type import MediaType

from sagemaker_inference import content_types
from sagemaker_inference.errors import UnsupportedFormatError

Body = str | bytes | bytearray


def _json_to_numpy(body: Body, dtype: DTypeLike | None = None) -> Any:
    """Whatever array the lists make."""
    return np.array(json.loads(body), dtype=dtype)


def _csv_to_numpy(body: Body, dtype: DTypeLike | None = None) -> Any:
    """Rows, or a vector of one row or column; integers stay integers, text stays text.

    Columns of several types are numbers if all are, else text; the original makes records of them.
    """
    text = body if isinstance(body, str) else bytes(body).decode()
    found = _genfromtxt(text, dtype)
    if dtype is None and found.dtype.names:
        kinds = {found.dtype[name].kind for name in found.dtype.names}
        return _genfromtxt(text, np.float64 if kinds <= set("biuf") else np.str_)
    return found


def _genfromtxt(text: str, dtype: DTypeLike | None) -> Any:
    return np.genfromtxt(io.StringIO(text), dtype=dtype, delimiter=",", encoding="utf-8")


def _npy_to_numpy(body: Body) -> Any:
    return decode_npy(_bytes(body))


def _npz_to_sparse(body: Body) -> Any:
    return decode_npz(_bytes(body))


def _bytes(body: Body) -> bytes:
    return body.encode("latin-1") if isinstance(body, str) else bytes(body)


_decoder_map: dict[str, Callable[[Any], Any]] = {
    content_types.NPY: _npy_to_numpy,
    content_types.CSV: _csv_to_numpy,
    content_types.JSON: _json_to_numpy,
    content_types.NPZ: _npz_to_sparse,
}
SUPPORTED_CONTENT_TYPES = set(_decoder_map)


def decode(obj: Body, content_type: str) -> Any:
    """The body as an array, an npz one as a sparse matrix; raises UnsupportedFormatError."""
    read = _decoder_map.get(MediaType.parse(content_type).essence)
    if read is None:
        raise UnsupportedFormatError(content_type)
    return read(obj)

"""`encode(array_like, content_type)`: an answer as JSON, CSV or npy."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from sagelocal_serve.codecs.npy import encode_npy
from sagelocal_serve.media_type import MediaType

from sagemaker_inference import content_types
from sagemaker_inference.errors import UnsupportedFormatError


def _array_to_json(array_like: Any) -> str:
    """Text of JSON, arrays within it as lists; TypeError for what JSON has no form of."""
    return json.dumps(array_like, default=_plain)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not JSON serializable")


def _array_to_csv(array_like: Any) -> str:
    """A line for each row, or for each number of a vector."""
    stream = io.StringIO()
    np.savetxt(stream, np.atleast_1d(array_like), delimiter=",", fmt="%s")
    return stream.getvalue()


_encoder_map: dict[str, Callable[[Any], str | bytes]] = {
    content_types.NPY: encode_npy,
    content_types.CSV: _array_to_csv,
    content_types.JSON: _array_to_json,
}
SUPPORTED_CONTENT_TYPES = set(_encoder_map)


def encode(array_like: Any, content_type: str) -> str | bytes:
    """The array, number, list or dict in that format; raises UnsupportedFormatError."""
    write = _encoder_map.get(MediaType.parse(content_type).essence)
    if write is None:
        raise UnsupportedFormatError(content_type)
    return write(array_like)

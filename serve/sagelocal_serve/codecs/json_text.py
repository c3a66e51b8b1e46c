"""application/json to values and back, arrays and numpy's scalars included."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagelocal_serve.errors import BadRequest

_RAGGED = "The JSON lists have unequal lengths and make no array."


def decode_json(text: str, where: str = "The body") -> Any:
    """The value of a JSON text; raises BadRequest naming line and column."""
    try:
        return _whole(json.loads(text), text)
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise BadRequest(f"{where} has {half}, which is half a character.") from error
    except json.JSONDecodeError as error:
        raise BadRequest(
            f"{where} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from error
    except (ValueError, RecursionError) as error:
        raise BadRequest(
            f"{where} is JSON with a number or a nesting too large to read."
        ) from error


def _whole(value: Any, text: str) -> Any:
    """The value, unless a string in it cannot be written; raises UnicodeEncodeError.

    JSON may escape one half of a pair alone, which is no text to any library that is given it.
    """
    if "\\ud" in text or "\\uD" in text:
        json.dumps(value, ensure_ascii=False).encode()
    return value


def as_array(value: Any) -> NDArray[Any]:
    """A JSON value as an array; raises BadRequest for lists of unequal length."""
    try:
        array = np.array(value)
    except (ValueError, OverflowError) as error:
        raise BadRequest(_RAGGED) from error
    # numpy before 1.24 makes an array of lists instead.
    if array.dtype.hasobject and any(isinstance(item, list) for item in array.flat):
        raise BadRequest(_RAGGED)
    return array


def encode_json(value: Any) -> bytes:
    """A value as JSON; raises TypeError for what has no JSON form."""
    return json.dumps(value, default=plain).encode()


def plain(value: Any) -> Any:
    """numpy's and the frameworks' arrays as lists, numpy's scalars as numbers."""
    to_list = getattr(value, "tolist", None)
    if to_list is not None:
        return to_list()
    as_numpy = getattr(value, "asnumpy", None) or getattr(value, "numpy", None)
    if as_numpy is not None:
        return as_numpy().tolist()
    if isinstance(value, set | frozenset):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")

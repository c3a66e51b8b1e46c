"""JSON values and tensors, by TensorFlow Serving's rules (RESTful API, "Encoding binary values").

Numbers are numbers: neither texts nor booleans stand for them, and no decimals for whole ones.
Texts are UTF-8; bytes come and go as `{"b64": "..."}`, out of tensors whose name ends in `_bytes`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from sagelocal_tensorflow.faults import Refused

BYTES_SUFFIX = "_bytes"
_BASE64 = "b64"
_SHOWN = 60

Array = Any
"""A numpy array; texts are an array of `bytes` objects."""


@dataclass(frozen=True)
class Spec:
    """A signature's tensor: its name there and in the graph, and what it may hold.

    `dtype` is numpy's, `object` for texts; a size of -1 is any, a shape of None any number of them.
    """

    name: str
    tensor: str
    dtype: np.dtype[Any]
    type_name: str
    shape: tuple[int, ...] | None

    def __str__(self) -> str:
        sizes = "any" if self.shape is None else f"[{', '.join(map(str, self.shape))}]"
        return f"{self.name!r} (shape {sizes}, {self.type_name})"


def read(value: Any, spec: Spec) -> Array:
    """A JSON value as the whole tensor, the batch included, of whatever shape; raises Refused."""
    return _texts(value, spec) if spec.dtype == object else _numbers(value, spec)


def fits(array: Array, spec: Spec) -> bool:
    """Whether an array has the shape that the signature names.

    TensorFlow Serving lets the graph decide, and many graphs take more than that: its own example,
    a half plus two, is of shape [-1, 1] and asked with `[1.0, 2.0, 5.0]`.
    """
    wanted = spec.shape
    return wanted is None or (
        len(wanted) == array.ndim
        and all(size in (-1, found) for size, found in zip(wanted, array.shape, strict=True))
    )


def is_base64(value: Any) -> bool:
    """Whether a JSON value stands for bytes."""
    return isinstance(value, dict) and value.keys() == {_BASE64} and isinstance(value[_BASE64], str)


def write(document: Mapping[str, Any]) -> bytes:
    """JSON of a document that holds arrays; float32 in as few digits as tell it from others."""
    if _is_finite(document):
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    # JSON has no NaN, but TensorFlow Serving writes it, and Python reads it.
    return json.dumps(_plain(document)).encode()


def values(name: str, array: Array) -> Any:
    """What `write` takes for an output: an array, or nested lists of texts."""
    if array.dtype == object:
        return _decoded(array.tolist(), name.endswith(BYTES_SUFFIX))
    if array.dtype.kind not in "biuf" or array.dtype == np.float16:
        if array.dtype.kind == "c":
            raise Refused(
                f"The output {name!r} holds complex numbers, which JSON has no form for. Export "
                "the model with an output of their parts.",
                501,
            )
        array = array.astype(np.float32)  # half and bfloat16 have no form of their own
    return np.ascontiguousarray(array) if array.ndim else array[()]


def _numbers(value: Any, spec: Spec) -> Array:
    try:
        array = np.array(value)
    except (ValueError, OverflowError) as error:
        raise Refused(
            f"The values for the input {spec} are lists of different lengths; every list of a "
            "level must be as long as the others."
        ) from error
    wanted = spec.dtype
    kinds = {"b": "b", "i": "iu", "u": "iu"}.get(wanted.kind, "iuf")
    if array.size and array.dtype.kind not in kinds:
        found = _odd_one(value, kinds)
        raise Refused(
            f"JSON Value: {_shown(found)} Type: {_type_name(found)} is not of expected type: "
            f"{spec.type_name}, of the input {spec}."
        )
    if wanted.kind in "iu" and array.size:
        limits = np.iinfo(wanted)
        if array.min() < limits.min or array.max() > limits.max:
            raise Refused(
                f"The input {spec} takes numbers from {limits.min} to {limits.max}; the request "
                f"holds {array.min()} to {array.max()}."
            )
    with np.errstate(over="ignore"):
        return array.astype(wanted)


def _texts(value: Any, spec: Spec) -> Array:
    array = np.array(_encoded(value, spec), dtype=object)
    if any(isinstance(item, list) for item in array.flat):
        raise Refused(
            f"The texts for the input {spec} are lists of different lengths; every list of a "
            "level must be as long as the others."
        )
    return array


def _encoded(value: Any, spec: Spec) -> Any:
    if isinstance(value, list):
        return [_encoded(item, spec) for item in value]
    if isinstance(value, str):
        return value.encode()
    if is_base64(value):
        return decode_base64(value)
    raise Refused(
        f"JSON Value: {_shown(value)} Type: {_type_name(value)} is not of expected type: "
        f"{spec.type_name}, of the input {spec}. Bytes are written as "
        '{"b64": "<base64>"}.'
    )


def decode_base64(value: Mapping[str, str]) -> bytes:
    """The bytes of `{"b64": ...}`; raises Refused."""
    try:
        return base64.b64decode(value[_BASE64], validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(f"Unable to base64 decode {_shown(value[_BASE64])}: {error}.") from error


def _decoded(value: Any, as_base64: bool) -> Any:
    if isinstance(value, list):
        return [_decoded(item, as_base64) for item in value]
    raw = value if isinstance(value, bytes) else str(value).encode()
    if as_base64:
        return {_BASE64: base64.b64encode(raw).decode()}
    return raw.decode(errors="replace")


def _odd_one(value: Any, kinds: str) -> Any:
    """The first value that is not of these kinds; the whole where it cannot be told."""
    found = [value]
    while found:
        item = found.pop()
        if isinstance(item, list):
            found += reversed(item)
        elif item is None or np.array(item).dtype.kind not in kinds:
            return item
    return value


def _type_name(value: Any) -> str:
    names = {bool: str(value), int: "Number", float: "Number", str: "String", list: "Array"}
    return names.get(type(value), "Null" if value is None else "Object")


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _is_finite(value: Any) -> bool:
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind != "f" or bool(np.isfinite(value).all())
    if isinstance(value, Mapping):
        return all(map(_is_finite, value.values()))
    if isinstance(value, float):
        return bool(np.isfinite(value))
    return not isinstance(value, Sequence) or isinstance(value, str) or all(map(_is_finite, value))


def _plain(value: Any) -> Any:
    """The same with Python's numbers; a float32 as the shortest decimal that means it."""
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype == np.float32:
            value = value.astype(str).astype(np.float64)
        return value.tolist()
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value

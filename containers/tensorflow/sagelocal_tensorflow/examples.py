"""The examples of a classify or regress request: JSON objects as serialised tf.train.Example.

RESTful API of TensorFlow Serving, "Classify and Regress API": a feature is a value or a list of
values of one kind, and `context` holds features that all examples share.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from sagelocal_tensorflow.faults import Refused
from sagelocal_tensorflow.tensors import Array, decode_base64, is_base64


def read(document: Mapping[str, Any], method: str) -> Array:
    """The request's examples as a tensor of bytes; raises Refused."""
    examples = document.get("examples")
    if "examples" not in document:
        raise Refused(
            f"When method is {method}, key 'examples' is expected and was not found. Send "
            '{"examples": [{"feature": 1.0}]}.'
        )
    if not isinstance(examples, list):
        raise Refused("Expecting 'examples' value to be an list/array")
    if not examples:
        raise Refused("'examples' value is an empty array")
    shared = _features(document.get("context", {}))
    serialised = [
        tf.train.Example(
            features=tf.train.Features(feature=shared | _features(example))
        ).SerializeToString()
        for example in examples
    ]
    return np.array(serialised, dtype=object)


def _features(example: Any) -> dict[str, Any]:
    if not isinstance(example, dict):
        raise Refused(f"Example must be JSON object but got {type(example).__name__}")
    return {name: _feature(name, value) for name, value in example.items()}


def _feature(name: str, value: Any) -> Any:
    found = [_value(name, item) for item in (value if isinstance(value, list) else [value])]
    kinds = {type(item) for item in found}
    if len(kinds) > 1:
        raise Refused(
            f"Unexpected element type in feature: {name}: its values are not of one kind."
        )
    if kinds == {bytes}:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=found))
    if kinds == {float}:
        return tf.train.Feature(float_list=tf.train.FloatList(value=found))
    try:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=found))
    except ValueError as error:
        raise Refused(f"Feature: {name} has a number beyond 64 bits.") from error


def _value(name: str, value: Any) -> bytes | int | float:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        return value.encode()
    if is_base64(value):
        return decode_base64(value)
    raise Refused(f"Feature: {name} has element with unexpected JSON type: {type(value).__name__}")

"""JSON bodies by shape: AWS JSON 1.0/1.1, the body of rest-json, and what CBOR was decoded to.

Blobs are base64, timestamps are numbers; a member that is null is a member that is not there, and
a member that the shape does not know is dropped. A value of the wrong type is refused in the words
of AWS's own parser.
"""

from __future__ import annotations

import base64
import binascii
import sys
from collections.abc import Mapping
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from sagelocal.protocol.models import wire_name
from sagelocal.protocol.timestamps import epoch_seconds, iso8601, parse_timestamp, rfc822


class WrongType(ValueError):
    """A JSON value that its shape cannot hold; the text is the client's message."""


_EXPECTED = {
    "string": "a String",
    "character": "a String",
    "integer": "an Integer",
    "long": "a Long",
    "float": "a Float",
    "double": "a Double",
    "boolean": "a Boolean",
    "timestamp": "a Timestamp",
    "blob": "a Blob",
}

# JSON's numbers have no end; those of the shapes have (Smithy specification, "Simple types").
_BEYOND = {"integer": 2**31, "long": 2**63}


def decode(shape: Shape, value: Any) -> Any:
    """A JSON value as parameters. Raises WrongType."""
    if isinstance(shape, StructureShape):
        return value if shape.is_document_type else _decode_structure(shape, value)
    if isinstance(shape, ListShape):
        if not isinstance(value, list):
            raise WrongType(f"{_found(value)} found where a list was expected.")
        return [decode(shape.member, item) for item in value if item is not None]
    if isinstance(shape, MapShape):
        if not isinstance(value, dict):
            raise WrongType(f"{_found(value)} found where a map was expected.")
        return {_text(k): decode(shape.value, v) for k, v in value.items() if v is not None}
    return _decode_scalar(shape.type_name, value)


def _decode_structure(shape: StructureShape, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise WrongType(f"{_found(value)} found where a structure was expected.")
    result: dict[str, Any] = {}
    for name, member in shape.members.items():
        item = value.get(wire_name(member, name))
        if item is not None:
            result[name] = decode(member, item)
    return result


def _decode_scalar(type_name: str, value: Any) -> Any:
    match type_name:
        case "string" | "character" if isinstance(value, str):
            return _text(value)
        case "boolean" if isinstance(value, bool):
            return value
        case "integer" | "long" if _is_whole(value) and _fits(value, _BEYOND[type_name]):
            return int(value)
        case "float" | "double" if _is_number(value) and abs(value) <= sys.float_info.max:
            return float(value)
        case "float" | "double" if value in ("NaN", "Infinity", "-Infinity"):
            return float(value)
        case "blob" if isinstance(value, str):
            return _decode_blob(value)
        case "blob" if isinstance(value, bytes):
            return value
        case "timestamp" if isinstance(value, int | float | str):
            return _decode_timestamp(value)
    raise WrongType(f"{_found(value)} can not be converted to {_EXPECTED[type_name]}")


def _fits(value: float, beyond: int) -> bool:
    return -beyond <= value < beyond


def _text(value: str) -> str:
    """JSON can say half of a surrogate pair (`\\ud800`), which no file, header or row can hold."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise WrongType("a String has half of a surrogate pair, which is no character") from error
    return value


def _decode_blob(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise WrongType(f"a blob is not base64: {value[:40]!r}") from error


def _decode_timestamp(value: float | str) -> Any:
    try:
        return parse_timestamp(value)
    except ValueError as error:
        raise WrongType(str(error)) from error


def _is_whole(value: Any) -> bool:
    return _is_number(value) and (isinstance(value, int) or value.is_integer())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _found(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE_VALUE" if value else "FALSE_VALUE"
    if isinstance(value, dict):
        return "Start of structure or map"
    if isinstance(value, list):
        return "Start of list"
    return "STRING_VALUE" if isinstance(value, str) else "NUMBER_VALUE"


def encode(shape: Shape, value: Any) -> Any:
    """A result as a JSON value. Members that are None or unknown to the shape are left out."""
    if isinstance(shape, StructureShape):
        return value if shape.is_document_type else encode_members(shape, shape.members, value)
    if isinstance(shape, ListShape):
        return [encode(shape.member, item) for item in value]
    if isinstance(shape, MapShape):
        return {str(k): encode(shape.value, v) for k, v in value.items()}
    return _encode_scalar(shape, value)


def encode_members(
    shape: StructureShape, members: Mapping[str, Shape], value: Mapping[str, Any]
) -> dict[str, Any]:
    """Some members of a structure, by their names on the wire."""
    return {
        wire_name(member, name): encode(member, value[name])
        for name, member in members.items()
        if value.get(name) is not None
    }


def _encode_scalar(shape: Shape, value: Any) -> Any:
    match shape.type_name:
        case "timestamp":
            match shape.serialization.get("timestampFormat"):
                case "iso8601":
                    return iso8601(value)
                case "rfc822":
                    return rfc822(value)
            return epoch_seconds(value)
        case "blob":
            return base64.b64encode(_bytes(value)).decode()
        case "boolean":
            return bool(value)
        case "integer" | "long":
            return int(value)
        case "float" | "double":
            return _encode_float(float(value))
    return str(value)


def _encode_float(value: float) -> float | str:
    """Numbers that JSON does not have are strings."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def _bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value

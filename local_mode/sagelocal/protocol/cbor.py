"""CBOR (RFC 8949), as much as smithy-rpc-v2-cbor uses (Smithy specification, "Smithy RPC v2 CBOR").

`decode` gives plain values, to be read by a shape as JSON's are: a timestamp (tag 1) is its number
of seconds. `encode` writes a result by its shape; `text_map` an error, which may have none.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from sagelocal.protocol.timestamps import to_datetime

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_EPOCH_SECONDS = 1
_INDEFINITE = 31
_BREAK = b"\xff"
_CONSTANTS = {20: False, 21: True, 22: None, 23: None}
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_DEEPEST = 64


class NotCbor(ValueError):
    """Bytes that cannot be read; the text says why and where."""


def decode(data: bytes) -> Any:
    """The one value that the bytes hold. Raises NotCbor."""
    reader = _Reader(data)
    value = reader.value(_DEEPEST)
    if reader.position != len(data):
        raise NotCbor(f"{len(data) - reader.position} bytes follow the value")
    return value


class _Reader:
    """Reads values one after another."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def value(self, depth: int) -> Any:
        if depth == 0:
            raise NotCbor(f"values are nested more than {_DEEPEST} deep")
        major, information = divmod(self._take(1)[0], 32)
        if major == _SIMPLE:
            return self._simple(information)
        if information == _INDEFINITE:
            return self._indefinite(major, depth)
        argument = self._argument(information)
        match major:
            case 0:
                return argument
            case 1:
                return -1 - argument
            case 2 | 3:
                return _string(major, self._take(argument))
            case 4:
                return [self.value(depth - 1) for _ in range(argument)]
            case 5:
                return {self._key(depth): self.value(depth - 1) for _ in range(argument)}
        return self.value(depth - 1)

    def _take(self, count: int) -> bytes:
        taken = self._data[self.position : self.position + count]
        if len(taken) < count:
            raise NotCbor(f"the bytes end at {len(self._data)}, inside a value")
        self.position += count
        return taken

    def _argument(self, information: int) -> int:
        if information < 24:
            return information
        if information > 27:
            raise NotCbor(f"byte {self.position - 1} has a length that means nothing")
        return int.from_bytes(self._take(1 << (information - 24)), "big")

    def _simple(self, information: int) -> float | bool | None:
        if information in _CONSTANTS:
            return _CONSTANTS[information]
        if information not in _FLOATS:
            raise NotCbor(f"byte {self.position - 1} is a simple value that means nothing")
        form = _FLOATS[information]
        number: float = struct.unpack(form, self._take(struct.calcsize(form)))[0]
        return number

    def _key(self, depth: int) -> str:
        key = self.value(depth - 1)
        if not isinstance(key, str):
            raise NotCbor(f"the map before byte {self.position} has a key that is no text")
        return key

    def _indefinite(self, major: int, depth: int) -> Any:
        """A value that goes on until the byte that ends it."""
        match major:
            case 2 | 3:
                empty: bytes | str = b"" if major == _BYTES else ""
                return self._joined(empty, depth)
            case 4:
                return [self.value(depth - 1) for _ in self._until_break()]
            case 5:
                return {self._key(depth): self.value(depth - 1) for _ in self._until_break()}
        raise NotCbor(f"byte {self.position - 1} has no length, and its type needs one")

    def _joined(self, empty: bytes | str, depth: int) -> bytes | str:
        pieces = [self.value(depth - 1) for _ in self._until_break()]
        if not all(isinstance(piece, type(empty)) for piece in pieces):
            raise NotCbor(f"the pieces before byte {self.position} are not of one type")
        return empty.join(pieces)

    def _until_break(self) -> Iterator[None]:
        while self._data[self.position : self.position + 1] != _BREAK:
            yield
        self.position += 1


def _string(major: int, data: bytes) -> bytes | str:
    if major == _BYTES:
        return data
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise NotCbor(f"a text is no UTF-8: {error}") from error


def encode(shape: Shape, value: Any) -> bytes:
    """A result by its shape. Members that are None or unknown to the shape are left out."""
    if isinstance(shape, StructureShape):
        members = {n: m for n, m in shape.members.items() if value.get(n) is not None}
        items = (_text(name) + encode(member, value[name]) for name, member in members.items())
        return _head(_MAP, len(members)) + b"".join(items)
    if isinstance(shape, ListShape):
        return _head(_ARRAY, len(value)) + b"".join(encode(shape.member, item) for item in value)
    if isinstance(shape, MapShape):
        pairs = (_text(str(k)) + encode(shape.value, v) for k, v in value.items())
        return _head(_MAP, len(value)) + b"".join(pairs)
    return _scalar(shape.type_name, value)


def _scalar(type_name: str, value: Any) -> bytes:
    match type_name:
        case "timestamp":
            return _head(_TAG, _EPOCH_SECONDS) + _double(to_datetime(value).timestamp())
        case "blob":
            data = value.encode() if isinstance(value, str) else value
            return _head(_BYTES, len(data)) + data
        case "boolean":
            return bytes([_SIMPLE << 5 | (21 if value else 20)])
        case "integer" | "long":
            return _integer(int(value))
        case "float" | "double":
            return _double(float(value))
    return _text(str(value))


def _integer(value: int) -> bytes:
    return _head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value)


def _double(value: float) -> bytes:
    return bytes([_SIMPLE << 5 | 27]) + struct.pack(">d", value)


def text_map(values: Mapping[str, str]) -> bytes:
    """A map of texts."""
    items = b"".join(_text(key) + _text(value) for key, value in values.items())
    return _head(_MAP, len(values)) + items


def _text(value: str) -> bytes:
    data = value.encode()
    return _head(_TEXT, len(data)) + data


def _head(major: int, argument: int) -> bytes:
    """The type in the upper three bits, then the argument in as few bytes as hold it."""
    if argument < 24:
        return bytes([major << 5 | argument])
    for information, size in ((24, 1), (25, 2), (26, 4)):
        if argument < 1 << (8 * size):
            return bytes([major << 5 | information]) + argument.to_bytes(size, "big")
    return bytes([major << 5 | 27]) + argument.to_bytes(8, "big")

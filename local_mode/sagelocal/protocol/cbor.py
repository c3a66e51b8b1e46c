"""As much CBOR (RFC 8949) as an error of a smithy-rpc-v2-cbor service needs."""

from __future__ import annotations

from collections.abc import Mapping

_TEXT = 3
_MAP = 5


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

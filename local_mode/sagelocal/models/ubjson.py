"""Universal Binary JSON as XGBoost writes it (`Booster.save_model("model.ubj")`).

Big-endian; objects with keys that begin with their length, arrays with or without a common type
("$") and a count ("#"). An array of one type of number is a NumPy array here, and the other way
round. Source: ubjson.org, draft 12; src/common/json.cc of XGBoost for what it makes of it.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

_NUMBERS: dict[bytes, np.dtype[Any]] = {
    b"i": np.dtype("i1"),
    b"U": np.dtype("u1"),
    b"I": np.dtype(">i2"),
    b"l": np.dtype(">i4"),
    b"L": np.dtype(">i8"),
    b"d": np.dtype(">f4"),
    b"D": np.dtype(">f8"),
}
_MARKS = {(dtype.kind, dtype.itemsize): mark for mark, dtype in _NUMBERS.items()}
_INTEGERS = (b"i", b"I", b"l", b"L")
_LENGTH = struct.Struct(">q")
_CONSTANTS = {b"Z": None, b"T": True, b"F": False}
_MAX_DEPTH = 64


class UbjsonProblem(ValueError):
    """Bytes that are no UBJSON; says where."""


def loads(data: bytes) -> Any:
    """The value; raises UbjsonProblem."""
    reader = _Reader(data)
    try:
        return reader.value(reader.take(1), 0)
    except (struct.error, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, UbjsonProblem):
            raise
        raise UbjsonProblem(f"no UBJSON at byte {reader.position}: {error}") from error


def dumps(value: Any) -> bytes:
    """The bytes of None, booleans, numbers, texts, lists, dicts with texts for keys, and arrays.

    Lengths have eight bytes and numbers that are no integers four, as XGBoost's reader wants them.
    Raises TypeError for anything else.
    """
    parts: list[bytes] = []
    _write(value, parts)
    return b"".join(parts)


def _write(value: Any, parts: list[bytes]) -> None:
    if value is None or isinstance(value, bool):
        parts.append(next(mark for mark, meant in _CONSTANTS.items() if meant is value))
    elif isinstance(value, int):
        mark = next(m for m in _INTEGERS if m == b"L" or _fits(value, _NUMBERS[m]))
        parts += (mark, np.array(value, _NUMBERS[mark]).tobytes())
    elif isinstance(value, float):
        parts += (b"d", np.array(value, ">f4").tobytes())
    elif isinstance(value, str):
        parts += (b"S", _text(value))
    elif isinstance(value, np.ndarray):
        mark = _MARKS[value.dtype.kind, value.dtype.itemsize]
        content = value.astype(_NUMBERS[mark]).tobytes()
        parts += (b"[$", mark, b"#L", _LENGTH.pack(value.size), content)
    elif isinstance(value, dict):
        parts.append(b"{")
        for key, each in value.items():
            parts.append(_text(key))
            _write(each, parts)
        parts.append(b"}")
    elif isinstance(value, list):
        parts += (b"[#L", _LENGTH.pack(len(value)))
        for each in value:
            _write(each, parts)
    else:
        raise TypeError(f"{type(value).__name__} has no form in UBJSON")


def _fits(number: int, dtype: np.dtype[Any]) -> bool:
    limits = np.iinfo(dtype)
    return bool(limits.min <= number <= limits.max)


def _text(text: str) -> bytes:
    content = text.encode()
    return b"L" + _LENGTH.pack(len(content)) + content


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def take(self, size: int) -> bytes:
        end = self.position + size
        if size < 0 or end > len(self._data):
            raise UbjsonProblem(f"it ends {end - len(self._data)} bytes early")
        part = self._data[self.position : end]
        self.position = end
        return part

    def value(self, marker: bytes, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise UbjsonProblem(f"its values lie too deep in one another at byte {self.position}")
        if marker in _NUMBERS:
            dtype = _NUMBERS[marker]
            return np.frombuffer(self.take(dtype.itemsize), dtype)[0].item()
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        if marker == b"S":
            return self.text()
        if marker == b"{":
            return self._object(depth)
        if marker == b"[":
            return self._array(depth)
        raise UbjsonProblem(f"the unknown mark {marker!r} at byte {self.position - 1}")

    def text(self) -> str:
        return self.take(self._count()).decode()

    def _count(self) -> int:
        marker = self.take(1)
        if marker not in _NUMBERS:
            raise UbjsonProblem(f"{marker!r} in the place of a count at byte {self.position - 1}")
        return int(self.value(marker, 0))

    def _peek(self) -> bytes:
        return self._data[self.position : self.position + 1]

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        count = None
        if self._peek() == b"#":
            self.take(1)
            count = self._count()
        while count != len(found) if count is not None else self._peek() != b"}":
            key = self.text()
            found[key] = self.value(self.take(1), depth + 1)
        if count is None:
            self.take(1)
        return found

    def _array(self, depth: int) -> Any:
        kind = None
        if self._peek() == b"$":
            self.take(1)
            kind = self.take(1)
        if self._peek() == b"#":
            self.take(1)
            count = self._count()
            if kind is not None and kind in _NUMBERS:
                dtype = _NUMBERS[kind]
                return np.frombuffer(self.take(count * dtype.itemsize), dtype)
            if count > len(self._data) - self.position:
                raise UbjsonProblem(f"{count} values do not fit at byte {self.position}")
            return [self.value(kind or self.take(1), depth + 1) for _ in range(count)]
        values = []
        while self._peek() != b"]":
            values.append(self.value(self.take(1), depth + 1))
        self.take(1)
        return values

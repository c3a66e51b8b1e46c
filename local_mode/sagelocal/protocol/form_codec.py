"""Form bodies of the query services (STS, IAM): nested members as dotted keys.

`Tags.member.1.Key=team` is the first element of a list; a flattened list leaves out `member`; maps
are `entry.1.key` and `entry.1.value`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from sagelocal.protocol.models import wire_name
from sagelocal.protocol.xml_codec import decode_text


def decode(shape: StructureShape, values: Mapping[str, str]) -> dict[str, Any]:
    """The form's values as parameters. Raises ValueError for a scalar that cannot be read."""
    return _Form(values).structure(shape, "")


class _Form:
    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._sorted = sorted(values)

    def _has(self, key: str) -> bool:
        """Whether there is a value at or below a key."""
        if key in self._values:
            return True
        below = f"{key}."
        first = bisect_left(self._sorted, below)
        return first < len(self._sorted) and self._sorted[first].startswith(below)

    def structure(self, shape: StructureShape, prefix: str) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for name, member in shape.members.items():
            value = self._value(member, _join(prefix, wire_name(member, name)))
            if value is not None:
                result[name] = value
        return result

    def _value(self, shape: Shape, key: str) -> Any:
        """What lies at or below a key; None for nothing."""
        if isinstance(shape, ListShape):
            return self._list(shape, key)
        if not self._has(key):
            return None
        if isinstance(shape, StructureShape):
            return self.structure(shape, key)
        if isinstance(shape, MapShape):
            return self._map(shape, key)
        text = self._values.get(key)
        return None if text is None else decode_text(shape, text)

    def _list(self, shape: ListShape, key: str) -> list[Any] | None:
        own = shape.member.serialization.get("name")
        if not shape.serialization.get("flattened"):
            base = _join(key, own or "member")
        elif own:
            base = _join(key.rpartition(".")[0], own)
        else:
            base = key
        items: list[Any] = []
        while self._has(key_of_item := f"{base}.{len(items) + 1}"):
            items.append(self._value(shape.member, key_of_item))
        return items if items or key in self._values else None

    def _map(self, shape: MapShape, key: str) -> dict[str, Any]:
        base = key if shape.serialization.get("flattened") else _join(key, "entry")
        key_name, value_name = wire_name(shape.key, "key"), wire_name(shape.value, "value")
        result: dict[str, Any] = {}
        number = 1
        while self._has(entry := f"{base}.{number}"):
            name = self._values.get(f"{entry}.{key_name}", "")
            result[name] = self._value(shape.value, f"{entry}.{value_name}")
            number += 1
        return result


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name

"""What a file of protocol buffers says of a model, and how its messages are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagelocal_formats.protobuf_wire import VARINT, Field, Message

from sagelocal.models.model import Numbers, Unread
from sagelocal.models.networks import Network


@dataclass(frozen=True)
class Graph:
    """What a file says."""

    facts: Mapping[str, Any]
    arrays: Mapping[str, Numbers | Unread]
    network: Network | None


class Fields:
    """A message's fields by number."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self._by_number: dict[int, list[Field]] = {}
        for item in message.fields():
            self._by_number.setdefault(item.number, []).append(item)

    def messages(self, number: int) -> list[Fields]:
        return [Fields(self.message.within(item)) for item in self._by_number.get(number, ())]

    def message_of(self, number: int) -> Fields | None:
        found = self.messages(number)
        return found[-1] if found else None

    def texts(self, number: int) -> list[str]:
        return [self.message.text(item) for item in self._by_number.get(number, ())]

    def text(self, number: int) -> str:
        found = self.texts(number)
        return found[-1] if found else ""

    def number(self, number: int) -> int | None:
        items = [item for item in self._by_number.get(number, ()) if item.wire == VARINT]
        return items[-1].varint if items else None

    def numbers(self, number: int) -> list[int]:
        return [n for item in self._by_number.get(number, ()) for n in self.message.varints(item)]

    def raw(self, number: int) -> bytes | None:
        items = self._by_number.get(number)
        return bytes(self.message.raw(items[-1])) if items else None

    def joined(self, number: int) -> bytes:
        """The bytes of a repeated field of fixed-size numbers, packed or not."""
        parts = [bytes(self.message.raw(item)) for item in self._by_number.get(number, ())]
        return b"".join(parts)

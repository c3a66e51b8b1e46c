"""The wire format of protocol buffers: what messages are made of, read and written.

A message is a row of fields: a varint `number << 3 | wire type`, then a varint (type 0), eight
bytes (1), a varint length and so many bytes (2), or four bytes (5). Varints hold seven bits a byte,
the lowest first, the eighth bit set on all but the last. Source: "Encoding" in the documentation of
Protocol Buffers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sagelocal_formats.errors import FormatError

VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5
MAX_VARINT_BYTES = 10


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message: its number, wire type and where its content lies."""

    number: int
    wire: int
    start: int
    end: int
    varint: int = 0


class Message:
    """A part of a payload that holds a message.

    Positions count from the payload's beginning; errors add `base`, the payload's place in its
    file.
    """

    def __init__(
        self,
        payload: memoryview,
        source: str,
        *,
        base: int = 0,
        start: int = 0,
        end: int | None = None,
    ) -> None:
        self.payload = payload
        self.source = source
        self.base = base
        self.start = start
        self.end = len(payload) if end is None else end

    def fields(self) -> Iterator[Field]:
        """The fields in their order; raises FormatError where they are none."""
        position = self.start
        while position < self.end:
            tag, body = self._varint(position)
            item = self._field(tag >> 3, tag & 7, position, body)
            yield item
            position = item.end

    def within(self, item: Field) -> Message:
        """The message inside a field."""
        if item.wire != DELIMITED:
            raise self.error(f"field {item.number} is no message", item.start)
        return Message(self.payload, self.source, base=self.base, start=item.start, end=item.end)

    def raw(self, item: Field) -> memoryview:
        """The content of a field."""
        return self.payload[item.start : item.end]

    def text(self, item: Field) -> str:
        """The content of a string field."""
        try:
            return bytes(self.delimited(item)).decode()
        except UnicodeDecodeError:
            raise self.error(f"the text in field {item.number} is not UTF-8", item.start) from None

    def delimited(self, item: Field) -> memoryview:
        """The content of a string or bytes field."""
        if item.wire != DELIMITED:
            raise self.error(f"field {item.number} holds no text or bytes", item.start)
        return self.raw(item)

    def varints(self, item: Field) -> list[int]:
        """The numbers of a repeated integer field, packed or single."""
        if item.wire == VARINT:
            return [item.varint]
        if item.wire != DELIMITED:
            raise self.error(f"field {item.number} holds no integers", item.start)
        numbers = []
        part = self.within(item)
        position = item.start
        while position < item.end:
            number, position = part._varint(position)
            numbers.append(number)
        return numbers

    def error(self, problem: str, position: int) -> FormatError:
        """A FormatError for a position of the payload."""
        return FormatError(problem, source=self.source, offset=self.base + position)

    def _field(self, number: int, wire: int, at: int, body: int) -> Field:
        if number == 0:
            raise self.error("not a protobuf message: a field with the number 0", at)
        if wire == VARINT:
            value, end = self._varint(body)
            return Field(number, wire, body, end, value)
        if wire == DELIMITED:
            length, body = self._varint(body)
        elif wire in (FIXED32, FIXED64):
            length = 4 if wire == FIXED32 else 8
        else:
            raise self.error(f"not a protobuf message: unknown wire type {wire}", at)
        if length > self.end - body:
            raise self.error(
                f"truncated: field {number} promises {length} bytes, {self.end - body} are left", at
            )
        return Field(number, wire, body, body + length)

    def _varint(self, position: int) -> tuple[int, int]:
        number = shift = 0
        for index in range(position, min(position + MAX_VARINT_BYTES, self.end)):
            byte = self.payload[index]
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                # A tenth byte has one bit left of the 64.
                return number & 0xFFFFFFFFFFFFFFFF, index + 1
            shift += 7
        raise self.error("truncated: a number has no end", position)


def varint(number: int) -> bytes:
    """A number from 0 to 2**64 - 1."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def varints(numbers: Sequence[int]) -> bytes:
    """Numbers one after the other; a negative one as its two's complement in 64 bits."""
    return b"".join(varint(number & 0xFFFFFFFFFFFFFFFF) for number in numbers)


def delimited(number: int, content: bytes) -> bytes:
    """A field of text, bytes, a message or packed numbers."""
    return varint(number << 3 | DELIMITED) + varint(len(content)) + content


def packed(number: int, content: bytes) -> bytes:
    """A repeated field; an empty one is not written at all."""
    return delimited(number, content) if content else b""

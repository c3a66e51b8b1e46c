"""application/vnd.amazon.eventstream: events one after another in one answer.

A message, all numbers big-endian (Smithy specification, "Amazon Event Stream"):

    u32 length of the whole message | u32 length of the headers | u32 CRC-32 of these eight bytes
    headers: u8 length, name, u8 type (7, text), u16 length, value
    payload
    u32 CRC-32 of everything before it

An event is a mapping of one member, as boto3 gives it back: `{"PayloadPart": {"Bytes": b"..."}}`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from zlib import crc32

from botocore.model import Shape, StructureShape

from sagelocal.protocol import json_codec

CONTENT_TYPE = "application/vnd.amazon.eventstream"

Event = Mapping[str, Mapping[str, Any]]

_TEXT = 7
_PRELUDE = struct.Struct("!II")
_CRC = struct.Struct("!I")


class EventStream:
    """Events as the bytes of their messages, each as soon as it is there."""

    def __init__(self, shape: StructureShape, events: Iterable[Event]) -> None:
        """`shape` is the one that has a member for each kind of event."""
        self._shape = shape
        self._events = events

    def __iter__(self) -> Iterator[bytes]:
        return (encode_event(self._shape, event) for event in self._events)

    def close(self) -> None:
        """Tell the source of the events, if it can be told, that no more are wanted."""
        close = getattr(self._events, "close", None)
        if close is not None:
            close()


def encode_event(shape: StructureShape, event: Event) -> bytes:
    """One event as a message, by the member of `shape` that it names."""
    ((name, value),) = event.items()
    member = shape.members[name]
    assert isinstance(member, StructureShape)
    kind = "exception" if member.metadata.get("exception") else "event"
    content_type, payload = _payload(member, value)
    headers = {
        f":{kind}-type": name,
        ":content-type": content_type,
        ":message-type": kind,
    }
    return encode_message(headers, payload)


def encode_message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message; names have at most 255 bytes of UTF-8, values at most 32,767."""
    head = b"".join(_header(name, value) for name, value in headers.items())
    prelude = _PRELUDE.pack(_PRELUDE.size + len(head) + len(payload) + 2 * _CRC.size, len(head))
    message = b"".join((prelude, _CRC.pack(crc32(prelude)), head, payload))
    return message + _CRC.pack(crc32(message))


def is_event_stream(shape: Shape) -> bool:
    """Whether a member of an answer is a stream of events."""
    return bool(shape.serialization.get("eventstream"))


def _header(name: str, value: str) -> bytes:
    raw_name, raw_value = name.encode(), value.encode()
    lengths = struct.pack("!B", len(raw_name)), struct.pack("!BH", _TEXT, len(raw_value))
    return lengths[0] + raw_name + lengths[1] + raw_value


def _payload(shape: StructureShape, value: Mapping[str, Any]) -> tuple[str, bytes]:
    """The content type and the payload: one blob where the model says so, else JSON."""
    for name, member in shape.members.items():
        if member.serialization.get("eventpayload") and member.type_name == "blob":
            return "application/octet-stream", value[name]
    document = json_codec.encode_members(shape, shape.members, value)
    return "application/json", json.dumps(document, separators=(",", ":")).encode()

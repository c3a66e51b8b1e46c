"""One message of type `aialgs.data.Record`: what it holds, to bytes and back.

    Record  { map<string,Value> features = 1; map<string,Value> label = 2;
              string uid = 3; string metadata = 4; string configuration = 5 }
    Value   { oneof: Float32Tensor = 2, Float64Tensor = 3, Int32Tensor = 7, Bytes = 9 }
    *Tensor { repeated values = 1 [packed]; repeated uint64 keys = 2; repeated uint64 shape = 3 }
    Bytes   { repeated bytes value = 1; string content_type = 2 }

A dense row has values only; a sparse one has keys (column numbers), values and its width in
`shape`. Training data calls its feature tensor and its label "values"; answers name theirs in the
label map ("score", "predicted_label"). Source: record.proto of the SageMaker Python SDK.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagelocal_formats.protobuf_wire import (
    DELIMITED,
    VARINT,
    Field,
    Message,
    delimited,
    packed,
    varints,
)

VALUES = "values"
FEATURES, LABEL, UID, METADATA, CONFIGURATION = 1, 2, 3, 4, 5
BYTES = 9

TENSOR_FIELDS: dict[np.dtype[Any], int] = {
    np.dtype("<f4"): 2,
    np.dtype("<f8"): 3,
    np.dtype("<i4"): 7,
}
TENSOR_DTYPES = {number: dtype for dtype, number in TENSOR_FIELDS.items()}


@dataclass(frozen=True, slots=True)
class Tensor:
    """The numbers of one field; `keys` and `shape` only where the row is sparse."""

    values: NDArray[Any]
    keys: NDArray[np.int64] | None = None
    shape: tuple[int, ...] = ()

    @property
    def is_sparse(self) -> bool:
        return self.keys is not None or (self.values.size == 0 and bool(self.shape))


@dataclass(frozen=True, slots=True)
class BytesValue:
    """Opaque content, an image for example."""

    value: tuple[bytes, ...]
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """One decoded message."""

    features: Mapping[str, Tensor | BytesValue] = field(default_factory=dict)
    label: Mapping[str, Tensor | BytesValue] = field(default_factory=dict)
    uid: str = ""
    metadata: str = ""
    configuration: str = ""


def encode(record: Record) -> bytes:
    """One message, without its RecordIO frame. Raises ValueError for what no record can hold."""
    pieces = [map_entry(FEATURES, name, value) for name, value in record.features.items()]
    pieces += [map_entry(LABEL, name, value) for name, value in record.label.items()]
    texts = (
        (UID, record.uid),
        (METADATA, record.metadata),
        (CONFIGURATION, record.configuration),
    )
    pieces += [delimited(number, text.encode()) for number, text in texts if text]
    return b"".join(pieces)


def decode(payload: bytes | memoryview, source: str = "<bytes>", base: int = 0) -> Record:
    """Read one message; raises FormatError, whose byte is counted from `base`."""
    maps: dict[int, dict[str, Tensor | BytesValue]] = {FEATURES: {}, LABEL: {}}
    texts = {UID: "", METADATA: "", CONFIGURATION: ""}
    message = Message(memoryview(payload), source, base=base)
    for item in message.fields():
        if item.number in maps:
            name, value = _decode_map_entry(message.within(item))
            maps[item.number][name] = value
        elif item.number in texts:
            texts[item.number] = message.text(item)
    return Record(maps[FEATURES], maps[LABEL], texts[UID], texts[METADATA], texts[CONFIGURATION])


def map_entry(number: int, name: str, value: Tensor | BytesValue) -> bytes:
    """One named value of the features or the label."""
    body = _encode_tensor(value) if isinstance(value, Tensor) else _encode_bytes(value)
    return delimited(number, delimited(1, name.encode()) + delimited(2, body))


def _encode_tensor(tensor: Tensor) -> bytes:
    values = tensor.values.astype(tensor.values.dtype.newbyteorder("<"), copy=False)
    number = TENSOR_FIELDS.get(values.dtype)
    if number is None:
        raise ValueError(f"a record holds float32, float64 or int32 values, not {values.dtype}")
    if tensor.keys is not None and len(tensor.keys) != values.size:
        raise ValueError(f"{len(tensor.keys)} keys for {values.size} values")
    numbers = values.tobytes() if values.dtype.kind == "f" else varints(values.ravel().tolist())
    keys = b"" if tensor.keys is None else varints(tensor.keys.tolist())
    body = packed(1, numbers) + packed(2, keys) + packed(3, varints(tensor.shape))
    return delimited(number, body)


def _encode_bytes(value: BytesValue) -> bytes:
    body = b"".join(delimited(1, part) for part in value.value)
    body += packed(2, value.content_type.encode())
    return delimited(BYTES, body)


def _decode_map_entry(entry: Message) -> tuple[str, Tensor | BytesValue]:
    name = ""
    value: Tensor | BytesValue = Tensor(np.zeros(0, np.float32))
    for item in entry.fields():
        if item.number == 1:
            name = entry.text(item)
        elif item.number == 2:
            value = _decode_value(entry.within(item))
    return name, value


def _decode_value(message: Message) -> Tensor | BytesValue:
    value: Tensor | BytesValue = Tensor(np.zeros(0, np.float32))
    for item in message.fields():
        if item.number in TENSOR_DTYPES:
            value = _decode_tensor(message.within(item), TENSOR_DTYPES[item.number])
        elif item.number == BYTES:
            value = _decode_bytes(message.within(item))
    return value


def _decode_tensor(message: Message, dtype: np.dtype[Any]) -> Tensor:
    values: list[NDArray[Any]] = []
    keys: list[int] = []
    shape: list[int] = []
    for item in message.fields():
        if item.number == 1:
            values.append(_decode_numbers(message, item, dtype))
        elif item.number == 2:
            keys += message.varints(item)
        elif item.number == 3:
            shape += message.varints(item)
    joined = values[0] if len(values) == 1 else np.concatenate([np.zeros(0, dtype), *values])
    if keys and len(keys) != joined.size:
        raise message.error(f"{len(keys)} keys for {joined.size} values", message.start)
    if shape and max(shape) >= 1 << 63:
        raise message.error(f"the shape {tuple(shape)} is no count of columns", message.start)
    return Tensor(joined, _as_keys(message, keys) if keys else None, tuple(shape))


def _as_keys(message: Message, keys: list[int]) -> NDArray[np.int64]:
    if max(keys) >= 1 << 63:
        raise message.error(f"the key {max(keys)} is no column number", message.start)
    return np.array(keys, np.int64)


def _decode_numbers(message: Message, item: Field, dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind == "i":
        # Negative numbers take ten bytes on the wire: their two's complement in 64 bits.
        wide = np.array(message.varints(item), np.uint64)
        return wide.astype(np.int64).astype(dtype)
    raw = message.raw(item)
    single = item.wire not in (VARINT, DELIMITED) and len(raw) == dtype.itemsize
    if not single and (item.wire != DELIMITED or len(raw) % dtype.itemsize):
        raise message.error(f"{len(raw)} bytes of values are no {dtype.name} numbers", item.start)
    return np.frombuffer(raw, dtype) if len(raw) else np.zeros(0, dtype)


def _decode_bytes(message: Message) -> BytesValue:
    parts: list[bytes] = []
    content_type = ""
    for item in message.fields():
        if item.number == 1:
            parts.append(bytes(message.delimited(item)))
        elif item.number == 2:
            content_type = message.text(item)
    return BytesValue(tuple(parts), content_type)

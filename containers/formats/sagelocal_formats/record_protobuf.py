"""SageMaker's record format: RecordIO around the protobuf message `aialgs.data.Record`.

    Record  { map<string,Value> features = 1; map<string,Value> label = 2;
              string uid = 3; string metadata = 4; string configuration = 5 }
    Value   { oneof: Float32Tensor = 2, Float64Tensor = 3, Int32Tensor = 7, Bytes = 9 }
    *Tensor { repeated values = 1 [packed]; repeated uint64 keys = 2; repeated uint64 shape = 3 }
    Bytes   { repeated bytes value = 1; string content_type = 2 }

A dense row has values only; a sparse one has keys (column numbers), values and its width in
`shape`. Training data calls its feature tensor and its label "values"; answers name theirs in the
label map ("score", "predicted_label"). Source: record.proto of the SageMaker Python SDK.

Rows of one layout differ in nothing but the numbers, so a whole file of them is seen as one array
without decoding a record: `read_matrix` tries that first and decodes record by record otherwise.
`encode_rows` writes the same way.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagelocal_formats import recordio
from sagelocal_formats.errors import FormatError

VALUES = "values"

_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5
_FEATURES, _LABEL, _UID, _METADATA, _CONFIGURATION = 1, 2, 3, 4, 5
_BYTES = 9

_TENSOR_FIELDS: dict[np.dtype[Any], int] = {
    np.dtype("<f4"): 2,
    np.dtype("<f8"): 3,
    np.dtype("<i4"): 7,
}
_TENSOR_DTYPES = {number: dtype for dtype, number in _TENSOR_FIELDS.items()}

Buffer = bytes | bytearray | memoryview


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


@dataclass(frozen=True, slots=True)
class SparseRows:
    """Rows as three arrays: row i holds values[indptr[i]:indptr[i+1]] in columns `keys`."""

    indptr: NDArray[np.int64]
    keys: NDArray[np.int64]
    values: NDArray[np.float32]
    width: int

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def to_dense(self) -> NDArray[np.float32]:
        """All rows as a matrix; a column given twice in a row counts with its last value."""
        dense = np.zeros((len(self), self.width), np.float32)
        rows = np.repeat(np.arange(len(self)), np.diff(self.indptr))
        dense[rows, self.keys] = self.values
        return dense


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of a file: features (n x d, or sparse) and one label per row, if there are labels."""

    features: NDArray[Any] | SparseRows
    labels: NDArray[Any] | None


def read_matrix(data: Buffer, source: str = "<bytes>") -> Matrix:
    """All rows of a RecordIO-protobuf buffer; raises FormatError.

    A buffer of dense rows in one layout comes back as a view of it, without a copy.
    """
    view = memoryview(data).cast("B")
    if not len(view):
        return Matrix(np.zeros((0, 0), np.float32), None)
    uniform = _read_uniform(view, source)
    return uniform if uniform is not None else _read_one_by_one(view, source)


def read_records(data: Buffer, source: str = "<bytes>") -> Iterator[Record]:
    """The decoded messages of a RecordIO-protobuf buffer; raises FormatError."""
    for number, payload in enumerate(recordio.read_records(io.BytesIO(data), source)):
        yield decode(payload, f"{source}, record {number}")


def encode_rows(
    features: Mapping[str, NDArray[Any]], label: Mapping[str, NDArray[Any]] | None = None
) -> bytes:
    """Dense rows: row i holds row i of every array (n, or n x k).

    float64 stays what it is, everything else is written as float32, as the built-in algorithms do.
    """
    columns = {(_FEATURES, name): _two_dimensional(array) for name, array in features.items()}
    columns |= {(_LABEL, name): _two_dimensional(array) for name, array in (label or {}).items()}
    counts = {array.shape[0] for array in columns.values()}
    if len(counts) != 1:
        raise ValueError(f"the tensors have different numbers of rows: {sorted(counts)}")
    template, slots = _template({key: array.shape[1:] for key, array in columns.items()}, columns)
    return _filled(template, slots, columns, counts.pop())


def encode_sparse(rows: SparseRows, labels: NDArray[Any] | None = None) -> bytes:
    """Sparse rows with an optional label each."""
    out = io.BytesIO()
    for index in range(len(rows)):
        part = slice(int(rows.indptr[index]), int(rows.indptr[index + 1]))
        tensor = Tensor(rows.values[part], rows.keys[part], (rows.width,))
        label = {} if labels is None else {VALUES: Tensor(_float32(labels[index : index + 1]))}
        recordio.write_record(out, encode(Record({VALUES: tensor}, label)), split_at_magic=False)
    return out.getvalue()


def encode(record: Record) -> bytes:
    """One message, without its RecordIO frame."""
    pieces = [_map_entry(_FEATURES, name, value) for name, value in record.features.items()]
    pieces += [_map_entry(_LABEL, name, value) for name, value in record.label.items()]
    texts = (
        (_UID, record.uid),
        (_METADATA, record.metadata),
        (_CONFIGURATION, record.configuration),
    )
    pieces += [_delimited(number, text.encode()) for number, text in texts if text]
    return b"".join(pieces)


def decode(payload: bytes, source: str = "<bytes>") -> Record:
    """Read one message; raises FormatError."""
    maps: dict[int, dict[str, Tensor | BytesValue]] = {_FEATURES: {}, _LABEL: {}}
    texts = {_UID: "", _METADATA: "", _CONFIGURATION: ""}
    message = _Message(memoryview(payload), source)
    for item in message.fields():
        if item.number in maps:
            name, value = _decode_map_entry(message.within(item))
            maps[item.number][name] = value
        elif item.number in texts:
            texts[item.number] = message.text(item)
    return Record(
        maps[_FEATURES], maps[_LABEL], texts[_UID], texts[_METADATA], texts[_CONFIGURATION]
    )


# --- reading -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a message: its number, wire type and where its content lies."""

    number: int
    wire: int
    start: int
    end: int
    varint: int = 0


class _Message:
    """A part of a payload that holds a message; offsets count from the payload's beginning."""

    def __init__(
        self, payload: memoryview, source: str, start: int = 0, end: int | None = None
    ) -> None:
        self.payload = payload
        self.source = source
        self.start = start
        self.end = len(payload) if end is None else end

    def fields(self) -> Iterator[_Field]:
        position = self.start
        while position < self.end:
            tag, body = self._varint(position)
            item = self._field(tag >> 3, tag & 7, position, body)
            yield item
            position = item.end

    def within(self, item: _Field) -> _Message:
        """The message inside a field."""
        if item.wire != _DELIMITED:
            raise self.error(f"field {item.number} is no message", item.start)
        return _Message(self.payload, self.source, item.start, item.end)

    def raw(self, item: _Field) -> memoryview:
        return self.payload[item.start : item.end]

    def text(self, item: _Field) -> str:
        try:
            return bytes(self.raw(item)).decode()
        except UnicodeDecodeError:
            raise self.error(f"the text in field {item.number} is not UTF-8", item.start) from None

    def varints(self, item: _Field) -> list[int]:
        """The numbers of a repeated integer field, packed or single."""
        if item.wire == _VARINT:
            return [item.varint]
        if item.wire != _DELIMITED:
            raise self.error(f"field {item.number} holds no integers", item.start)
        numbers = []
        part = self.within(item)
        position = item.start
        while position < item.end:
            number, position = part._varint(position)
            numbers.append(number)
        return numbers

    def error(self, problem: str, offset: int) -> FormatError:
        return FormatError(problem, source=self.source, offset=offset)

    def _field(self, number: int, wire: int, at: int, body: int) -> _Field:
        if number == 0:
            raise self.error("not a protobuf message: a field with the number 0", at)
        if wire == _VARINT:
            value, end = self._varint(body)
            return _Field(number, wire, body, end, value)
        if wire == _DELIMITED:
            length, body = self._varint(body)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise self.error(f"not a protobuf message: unknown wire type {wire}", at)
        if length > self.end - body:
            raise self.error(
                f"truncated: field {number} promises {length} bytes, {self.end - body} are left", at
            )
        return _Field(number, wire, body, body + length)

    def _varint(self, position: int) -> tuple[int, int]:
        number = shift = 0
        for index in range(position, min(position + 10, self.end)):
            byte = self.payload[index]
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number, index + 1
            shift += 7
        raise self.error("truncated: a number has no end", position)


def _decode_map_entry(entry: _Message) -> tuple[str, Tensor | BytesValue]:
    name = ""
    value: Tensor | BytesValue = Tensor(np.zeros(0, np.float32))
    for item in entry.fields():
        if item.number == 1:
            name = entry.text(item)
        elif item.number == 2:
            value = _decode_value(entry.within(item))
    return name, value


def _decode_value(message: _Message) -> Tensor | BytesValue:
    value: Tensor | BytesValue = Tensor(np.zeros(0, np.float32))
    for item in message.fields():
        if item.number in _TENSOR_DTYPES:
            value = _decode_tensor(message.within(item), _TENSOR_DTYPES[item.number])
        elif item.number == _BYTES:
            value = _decode_bytes(message.within(item))
    return value


def _decode_tensor(message: _Message, dtype: np.dtype[Any]) -> Tensor:
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
    return Tensor(joined, _as_keys(message, keys) if keys else None, tuple(shape))


def _as_keys(message: _Message, keys: list[int]) -> NDArray[np.int64]:
    if max(keys) >= 1 << 63:
        raise message.error(f"the key {max(keys)} is no column number", message.start)
    return np.array(keys, np.int64)


def _decode_numbers(message: _Message, item: _Field, dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind == "i":
        # Negative numbers take ten bytes on the wire: their two's complement in 64 bits.
        wide = np.array(message.varints(item), np.uint64)
        return wide.astype(np.int64).astype(dtype)
    raw = message.raw(item)
    if item.wire == _VARINT or len(raw) % dtype.itemsize:
        raise message.error(f"{len(raw)} bytes of values are no {dtype.name} numbers", item.start)
    return np.frombuffer(raw, dtype) if len(raw) else np.zeros(0, dtype)


def _decode_bytes(message: _Message) -> BytesValue:
    parts: list[bytes] = []
    content_type = ""
    for item in message.fields():
        if item.number == 1:
            parts.append(bytes(message.raw(item)))
        elif item.number == 2:
            content_type = message.text(item)
    return BytesValue(tuple(parts), content_type)


# --- a whole file at once ----------------------------------------------------------------------


def _read_uniform(view: memoryview, source: str) -> Matrix | None:
    """The rows as a view of the buffer, or None unless all share the first record's layout."""
    if len(view) < recordio.HEADER.size:
        return None
    magic, length = recordio.HEADER.unpack(view[: recordio.HEADER.size])
    stride = recordio.HEADER.size + length + recordio.padding(length)
    if magic != recordio.MAGIC or length > recordio.MAX_PART_BYTES or len(view) % stride:
        return None
    slots = _value_slots(view[recordio.HEADER.size : recordio.HEADER.size + length], source)
    if slots is None or not _same_outside(view, stride, list(slots.values())):
        return None
    rows = len(view) // stride
    features = _strided(view, rows, stride, slots[_FEATURES])
    labels = _strided(view, rows, stride, slots[_LABEL])[:, 0] if _LABEL in slots else None
    return Matrix(features, labels)


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where in a framed record the numbers of a tensor lie."""

    start: int
    count: int
    dtype: np.dtype[Any]

    @property
    def end(self) -> int:
        return self.start + self.count * self.dtype.itemsize


def _value_slots(payload: memoryview, source: str) -> dict[int, _Slot] | None:
    """Feature and label slots of a plain dense record; None for any other record."""
    slots: dict[int, _Slot] = {}
    message = _Message(payload, source)
    for item in message.fields():
        if item.number not in (_FEATURES, _LABEL) or item.number in slots:
            return None
        slot = _entry_slot(message.within(item))
        if slot is None:
            return None
        slots[item.number] = slot
    if _FEATURES not in slots or (_LABEL in slots and slots[_LABEL].count != 1):
        return None
    return slots


def _entry_slot(entry: _Message) -> _Slot | None:
    slot = None
    for item in entry.fields():
        if item.number == 1 and bytes(entry.raw(item)) != VALUES.encode():
            return None
        if item.number == 2:
            slot = _value_slot(entry.within(item))
    return slot


def _value_slot(value: _Message) -> _Slot | None:
    """The packed floats of a value that holds nothing else."""
    outer = list(value.fields())
    if len(outer) != 1 or outer[0].number not in _TENSOR_DTYPES:
        return None
    dtype = _TENSOR_DTYPES[outer[0].number]
    inner = list(value.within(outer[0]).fields())
    if dtype.kind != "f" or len(inner) != 1 or inner[0].number != 1 or inner[0].wire != _DELIMITED:
        return None
    size_bytes = inner[0].end - inner[0].start
    if size_bytes % dtype.itemsize:
        return None
    return _Slot(recordio.HEADER.size + inner[0].start, size_bytes // dtype.itemsize, dtype)


def _same_outside(view: memoryview, stride: int, slots: Sequence[_Slot]) -> bool:
    """Whether every record equals the first one in all bytes but those of the slots."""
    rows = np.frombuffer(view, np.uint8).reshape(-1, stride)
    starts = [0] + [slot.end for slot in sorted(slots, key=lambda slot: slot.start)]
    ends = [*sorted(slot.start for slot in slots), stride]
    return all(
        bool((rows[:, start:end] == rows[0, start:end]).all())
        for start, end in zip(starts, ends, strict=True)
    )


def _strided(view: memoryview, rows: int, stride: int, slot: _Slot) -> NDArray[Any]:
    return np.ndarray(
        (rows, slot.count),
        slot.dtype,
        buffer=view,
        offset=slot.start,
        strides=(stride, slot.dtype.itemsize),
    )


# --- record by record --------------------------------------------------------------------------


def _read_one_by_one(view: memoryview, source: str) -> Matrix:
    tensors: list[Tensor] = []
    labels: list[NDArray[Any] | None] = []
    for number, record in enumerate(read_records(view, source)):
        where = f"{source}, record {number}"
        tensors.append(_feature_tensor(record, where))
        labels.append(_label_of(record, where))
    return Matrix(_features_of(tensors, source), _labels_of(labels, source))


def _feature_tensor(record: Record, where: str) -> Tensor:
    tensor = record.features.get(VALUES)
    if not isinstance(tensor, Tensor):
        found = ", ".join(map(repr, record.features)) or "none"
        raise FormatError(f"no feature tensor 'values' (found: {found})", source=where, offset=0)
    return tensor


def _label_of(record: Record, where: str) -> NDArray[Any] | None:
    label = record.label.get(VALUES)
    if label is None:
        return None
    if not isinstance(label, Tensor) or label.values.size != 1:
        raise FormatError("the label 'values' is not one number", source=where, offset=0)
    return label.values


def _labels_of(labels: Sequence[NDArray[Any] | None], source: str) -> NDArray[Any] | None:
    present = [label for label in labels if label is not None]
    if not present:
        return None
    if len(present) != len(labels):
        missing = next(number for number, label in enumerate(labels) if label is None)
        raise FormatError(
            "the label is missing, though other records have one",
            source=f"{source}, record {missing}",
            offset=0,
        )
    return np.concatenate(present)


def _features_of(tensors: Sequence[Tensor], source: str) -> NDArray[Any] | SparseRows:
    if any(tensor.is_sparse for tensor in tensors):
        return _sparse_rows(tensors, source)
    width = tensors[0].values.size
    for number, tensor in enumerate(tensors):
        if tensor.values.size != width:
            raise FormatError(
                f"{tensor.values.size} values where the first record has {width}",
                source=f"{source}, record {number}",
                offset=0,
            )
    return np.stack([tensor.values for tensor in tensors])


def _sparse_rows(tensors: Sequence[Tensor], source: str) -> SparseRows:
    width = next((tensor.shape[0] for tensor in tensors if tensor.shape), 0)
    width = width or max(tensor.values.size for tensor in tensors if tensor.keys is None)
    keys = [_row_keys(tensor, width, f"{source}, record {i}") for i, tensor in enumerate(tensors)]
    lengths = [len(row) for row in keys]
    return SparseRows(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.concatenate(keys),
        np.concatenate([tensor.values for tensor in tensors]).astype(np.float32),
        width,
    )


def _row_keys(tensor: Tensor, width: int, where: str) -> NDArray[np.int64]:
    if tensor.shape and tensor.shape != (width,):
        raise FormatError(
            f"shape {tensor.shape} where the first record has {(width,)}", source=where, offset=0
        )
    keys = np.arange(tensor.values.size) if tensor.keys is None else tensor.keys
    if keys.size and keys.max() >= width:
        raise FormatError(
            f"column {keys.max()} is outside the width {width}", source=where, offset=0
        )
    return keys


# --- writing -----------------------------------------------------------------------------------


def _template(
    shapes: Mapping[tuple[int, str], tuple[int, ...]],
    columns: Mapping[tuple[int, str], NDArray[Any]],
) -> tuple[bytes, dict[tuple[int, str], int]]:
    """A framed record with zeros for numbers, and where each tensor's numbers begin."""
    payload = b""
    slots: dict[tuple[int, str], int] = {}
    for (kind, name), (count,) in shapes.items():
        zeros = np.zeros(count, columns[kind, name].dtype)
        payload += _map_entry(kind, name, Tensor(zeros))
        slots[kind, name] = recordio.HEADER.size + len(payload) - zeros.nbytes
    out = io.BytesIO()
    recordio.write_record(out, payload, split_at_magic=False)
    return out.getvalue(), slots


def _filled(
    template: bytes,
    slots: Mapping[tuple[int, str], int],
    columns: Mapping[tuple[int, str], NDArray[Any]],
    count: int,
) -> bytes:
    rows = np.tile(np.frombuffer(template, np.uint8), (count, 1))
    for key, start in slots.items():
        raw = np.ascontiguousarray(columns[key]).view(np.uint8)
        rows[:, start : start + raw.shape[1]] = raw
    return rows.tobytes()


def _two_dimensional(array: NDArray[Any]) -> NDArray[Any]:
    matrix = array.reshape(len(array), -1) if array.size else array.reshape(len(array), 0)
    return matrix.astype("<f8" if array.dtype == np.float64 else "<f4", copy=False)


def _float32(array: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(array, np.dtype("<f4"))


def _map_entry(number: int, name: str, value: Tensor | BytesValue) -> bytes:
    body = _encode_tensor(value) if isinstance(value, Tensor) else _encode_bytes(value)
    return _delimited(number, _delimited(1, name.encode()) + _delimited(2, body))


def _encode_tensor(tensor: Tensor) -> bytes:
    values = tensor.values.astype(tensor.values.dtype.newbyteorder("<"), copy=False)
    field_number = _TENSOR_FIELDS.get(values.dtype)
    if field_number is None:
        raise ValueError(f"a record holds float32, float64 or int32 values, not {values.dtype}")
    if tensor.keys is not None and len(tensor.keys) != values.size:
        raise ValueError(f"{len(tensor.keys)} keys for {values.size} values")
    packed = values.tobytes() if values.dtype.kind == "f" else _varints(values.tolist())
    keys = b"" if tensor.keys is None else _varints(tensor.keys.tolist())
    body = _packed(1, packed) + _packed(2, keys) + _packed(3, _varints(tensor.shape))
    return _delimited(field_number, body)


def _encode_bytes(value: BytesValue) -> bytes:
    body = b"".join(_delimited(1, part) for part in value.value)
    body += _packed(2, value.content_type.encode())
    return _delimited(_BYTES, body)


def _packed(number: int, content: bytes) -> bytes:
    """A repeated field; an empty one is not written at all."""
    return _delimited(number, content) if content else b""


def _delimited(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _DELIMITED) + _varint(len(content)) + content


def _varints(numbers: Sequence[int]) -> bytes:
    return b"".join(_varint(number & 0xFFFFFFFFFFFFFFFF) for number in numbers)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)

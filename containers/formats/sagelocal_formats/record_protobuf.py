"""SageMaker's record format: RecordIO around the protobuf message `aialgs.data.Record`.

    read_matrix(buffer)      all rows at once: features and labels
    read_batches(stream)     the same in pieces, for files and pipes of any length
    read_records(buffer)     each message with all it holds, one by one
    encode_rows, encode_sparse, write_record     the way back

`record_message` is one message, `record_layout` and `record_columns` read many of them at once. A
buffer is tried by the fastest first: rows of one layout are a view of it, rows of the forms that
writers produce are decoded together, everything else (and everything broken, for the error's sake)
goes record by record.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from sagelocal_formats import recordio
from sagelocal_formats.errors import FormatError
from sagelocal_formats.protobuf_wire import delimited, packed, varint
from sagelocal_formats.record_columns import read_columns
from sagelocal_formats.record_layout import read_uniform, uniform_end
from sagelocal_formats.record_message import (
    FEATURES,
    LABEL,
    TENSOR_FIELDS,
    VALUES,
    BytesValue,
    Record,
    Tensor,
    decode,
    encode,
    map_entry,
)
from sagelocal_formats.rows import Matrix, SparseRows

__all__ = [
    "BytesValue",
    "Matrix",
    "Record",
    "SparseRows",
    "Tensor",
    "decode",
    "encode",
    "encode_rows",
    "encode_sparse",
    "read_batches",
    "read_matrix",
    "read_records",
    "write_record",
]

Buffer = bytes | bytearray | memoryview

_BATCH_BYTES = 16 << 20


def read_matrix(data: Buffer, source: str = "<bytes>") -> Matrix:
    """All rows of a RecordIO-protobuf buffer; raises FormatError.

    A buffer of dense rows in one layout comes back as a view of it, without a copy.
    """
    view = memoryview(data).cast("B")
    if not len(view):
        return Matrix(np.zeros((0, 0), np.float32), None)
    return _read(view, _Place(source))


def read_batches(
    stream: recordio.Source, source: str = "<stream>", *, batch_bytes: int = _BATCH_BYTES
) -> Iterator[Matrix]:
    """The rows of a stream, about `batch_bytes` of it at a time; raises FormatError.

    Holds one batch at a time (a record larger than that is a batch of its own). All batches have
    the width of the first, and labels if that has; sparse and dense ones may take turns.
    """
    place = _Place(source)
    first: Matrix | None = None
    for view in _whole_records(stream, batch_bytes):
        matrix = _read(view, place)
        first = first or matrix
        _check_alike(first, matrix, place)
        place = place.after(len(view), len(matrix))
        yield matrix


def read_records(data: Buffer | BinaryIO, source: str = "<bytes>") -> Iterator[Record]:
    """The decoded messages of a RecordIO-protobuf buffer or stream; raises FormatError."""
    stream = _View(memoryview(data)) if isinstance(data, Buffer) else data
    return _records(stream, _Place(source))


def write_record(stream: BinaryIO, record: Record) -> None:
    """Append one message, framed so that every reader of the format understands it."""
    recordio.write_record(stream, encode(record), split_at_magic=False)


def encode_rows(
    features: Mapping[str, NDArray[Any]], label: Mapping[str, NDArray[Any]] | None = None
) -> bytes:
    """Dense rows: row i holds row i of every array (n, or n x k).

    float64 stays what it is, everything else is written as float32, as the built-in algorithms do.
    """
    columns = {(FEATURES, name): _two_dimensional(array) for name, array in features.items()}
    columns |= {(LABEL, name): _two_dimensional(array) for name, array in (label or {}).items()}
    counts = {array.shape[0] for array in columns.values()}
    if len(counts) != 1:
        raise ValueError(f"the tensors have different numbers of rows: {sorted(counts)}")
    template, slots = _template({key: array.shape[1:] for key, array in columns.items()}, columns)
    return _filled(template, slots, columns, counts.pop())


def encode_sparse(rows: SparseRows, labels: NDArray[Any] | None = None) -> bytes:
    """Sparse rows with an optional label each, all numbers as float32."""
    values = _float32(rows.values)
    width = packed(3, varint(rows.width))
    indptr = rows.indptr.tolist()
    keys, bounds = _encoded_keys(rows)
    out = []
    for index in range(len(rows)):
        start, end = indptr[index], indptr[index + 1]
        tensor = packed(1, values[start:end].tobytes())
        tensor += packed(2, keys[bounds[start] : bounds[end]]) + width
        entry = _VALUES_NAME + delimited(2, delimited(_FLOAT32, tensor))
        payload = delimited(FEATURES, entry)
        if labels is not None:
            payload += _LABEL_HEAD + _float32(labels[index : index + 1]).tobytes()
        out.append(recordio.HEADER.pack(recordio.MAGIC, len(payload)))
        out.append(payload)
        out.append(bytes(recordio.padding(len(payload))))
    return b"".join(out)


# --- reading -----------------------------------------------------------------------------------


class _Place:
    """Where in the input a buffer begins: for errors."""

    def __init__(self, source: str, byte: int = 0, record: int = 0) -> None:
        self.source = source
        self.byte = byte
        self.record = record

    def after(self, size_bytes: int, records: int) -> _Place:
        return _Place(self.source, self.byte + size_bytes, self.record + records)

    def named(self, number: int) -> str:
        """The record at that index of the buffer; people count from 1."""
        return f"{self.source}, record {self.record + number + 1}"


class _View:
    """A buffer that is read like a stream, without copying it first."""

    def __init__(self, view: memoryview) -> None:
        self._view = view.cast("B")
        self._position = 0

    def read(self, size: int = -1, /) -> bytes:
        end = len(self._view) if size < 0 else self._position + size
        piece = bytes(self._view[self._position : end])
        self._position += len(piece)
        return piece


def _read(view: memoryview, place: _Place) -> Matrix:
    try:
        uniform = read_uniform(view, place.source)
    except FormatError:
        uniform = None  # Said again below, with the place in the whole input.
    if uniform is not None:
        return uniform
    frames = recordio.scan(view)
    columns = read_columns(view, frames) if frames and frames.end == len(view) else None
    return columns if columns is not None else _read_one_by_one(view, place)


def _whole_records(stream: recordio.Source, batch_bytes: int) -> Iterator[memoryview]:
    """The stream in pieces that end where a record ends."""
    rest = b""
    wanted = batch_bytes
    while piece := _up_to(stream, wanted):
        data = rest + piece
        end = _records_end(memoryview(data))
        if end:
            yield memoryview(data)[:end]
        # One record larger than the batch: read as much again each time, not a batch each time.
        wanted = batch_bytes if end else max(batch_bytes, len(data))
        rest = data[end:]
    if rest:
        yield memoryview(rest)


def _up_to(stream: recordio.Source, size_bytes: int) -> bytes:
    """So many bytes, fewer only at the end: pipes hand over less than they are asked for."""
    pieces: list[bytes] = []
    while size_bytes and (piece := stream.read(min(size_bytes, 1 << 24))):
        pieces.append(piece)
        size_bytes -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _records_end(view: memoryview) -> int:
    """Where the last whole record ends; all of it if there is anything that is no record."""
    end = uniform_end(view)
    end += _parts_end(view[end:])
    return end


def _parts_end(view: memoryview) -> int:
    """The same, for records cut into parts as well."""
    position = closed = 0
    size = len(view)
    while position + recordio.HEADER.size <= size:
        magic, lrec = recordio.HEADER.unpack_from(view, position)
        if magic != recordio.MAGIC:
            return size
        length = lrec & recordio.MAX_PART_BYTES
        position += recordio.HEADER.size + length + recordio.padding(length)
        if position > size:
            break
        if lrec >> recordio.LENGTH_BITS in (recordio.WHOLE, recordio.LAST):
            closed = position
    return closed


def _check_alike(first: Matrix, matrix: Matrix, place: _Place) -> None:
    if matrix.width != first.width:
        raise FormatError(
            _other_width(matrix.width, first.width),
            source=place.named(0),
            offset=place.byte,
        )
    if (matrix.labels is None) != (first.labels is None):
        with_label, without = ("first", "this") if first.labels is not None else ("this", "first")
        raise FormatError(
            f"the {with_label} record has a label, the {without} one has none",
            source=place.named(0),
            offset=place.byte,
        )


def _other_width(found: int, first: int) -> str:
    return f"{found} values where the first record has {first}; all records need as many"


def _records(stream: recordio.Source, place: _Place) -> Iterator[Record]:
    for _, record in _located_records(stream, place):
        yield record


def _located_records(stream: recordio.Source, place: _Place) -> Iterator[tuple[int, Record]]:
    """Each record with the byte at which it begins."""
    located = recordio.read_located(stream, place.source, place.byte)
    for number, (at, payload) in enumerate(located):
        yield at, decode(payload, place.named(number), at + recordio.HEADER.size)


def _read_one_by_one(view: memoryview, place: _Place) -> Matrix:
    rows = _OneByOne()
    for number, (at, record) in enumerate(_located_records(_View(view), place)):
        rows.add(record, place.named(number), at)
    return rows.matrix()


class _OneByOne:
    """Rows collected from decoded records, with the place of each for errors."""

    def __init__(self) -> None:
        self._tensors: list[Tensor] = []
        self._labels: list[NDArray[Any] | None] = []
        self._places: list[tuple[str, int]] = []

    def add(self, record: Record, name: str, at: int) -> None:
        """Take a record's features and label."""
        self._places.append((name, at))
        tensor = record.features.get(VALUES)
        if not isinstance(tensor, Tensor):
            found = ", ".join(map(repr, record.features)) or "none"
            raise self._error(-1, f"no feature tensor 'values' (found: {found})")
        label = record.label.get(VALUES)
        if label is not None and not (isinstance(label, Tensor) and label.values.size == 1):
            raise self._error(-1, "the label 'values' is not one number")
        self._tensors.append(tensor)
        self._labels.append(label.values if isinstance(label, Tensor) else None)

    def matrix(self) -> Matrix:
        """All rows; raises FormatError for the first that does not fit the others."""
        labels = self._joined_labels()
        if any(tensor.is_sparse for tensor in self._tensors):
            return Matrix(self._sparse(), labels)
        width = self._tensors[0].values.size
        for number, tensor in enumerate(self._tensors):
            if tensor.values.size != width:
                raise self._error(number, _other_width(tensor.values.size, width))
        return Matrix(np.stack([tensor.values for tensor in self._tensors]), labels)

    def _joined_labels(self) -> NDArray[Any] | None:
        present = [label for label in self._labels if label is not None]
        if not present:
            return None
        if len(present) != len(self._labels):
            missing = next(i for i, label in enumerate(self._labels) if label is None)
            raise self._error(missing, "the label is missing, though other records have one")
        return np.concatenate(present)

    def _sparse(self) -> SparseRows:
        tensors = self._tensors
        width = next((tensor.shape[0] for tensor in tensors if tensor.shape), 0)
        counted = (tensor.values.size for tensor in tensors if tensor.keys is None)
        width = width or max(counted, default=0)
        keys = [self._keys(number, width) for number in range(len(tensors))]
        with np.errstate(over="ignore"):
            values = np.concatenate([tensor.values for tensor in tensors]).astype(np.float32)
        indptr = np.concatenate([[0], np.cumsum([len(row) for row in keys])]).astype(np.int64)
        return SparseRows(indptr, np.concatenate(keys), values, width)

    def _keys(self, number: int, width: int) -> NDArray[np.int64]:
        tensor = self._tensors[number]
        if tensor.shape and tensor.shape != (width,):
            raise self._error(number, f"shape {tensor.shape} where the first record has {(width,)}")
        keys = np.arange(tensor.values.size) if tensor.keys is None else tensor.keys
        if keys.size and keys.max() >= width:
            raise self._error(number, f"column {keys.max()} is outside the width {width}")
        return keys

    def _error(self, number: int, problem: str) -> FormatError:
        name, at = self._places[number]
        return FormatError(problem, source=name, offset=at)


# --- writing -----------------------------------------------------------------------------------

_FLOAT32 = TENSOR_FIELDS[np.dtype("<f4")]
_VALUES_NAME = delimited(1, VALUES.encode())
_LABEL_HEAD = map_entry(LABEL, VALUES, Tensor(np.zeros(1, np.float32)))[:-4]


def _template(
    shapes: Mapping[tuple[int, str], tuple[int, ...]],
    columns: Mapping[tuple[int, str], NDArray[Any]],
) -> tuple[bytes, dict[tuple[int, str], int]]:
    """A framed record with zeros for numbers, and where each tensor's numbers begin."""
    payload = b""
    slots: dict[tuple[int, str], int] = {}
    for (kind, name), (count,) in shapes.items():
        zeros = np.zeros(count, columns[kind, name].dtype)
        payload += map_entry(kind, name, Tensor(zeros))
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


def _encoded_keys(rows: SparseRows) -> tuple[bytes, Sequence[int]]:
    """All keys as varints in one piece, and where in it each one begins."""
    keys = np.asarray(rows.keys, np.uint64)
    sizes = np.ones(len(keys), np.int64)
    for bits in range(7, 64, 7):
        sizes += keys >= np.uint64(1) << np.uint64(bits)
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    encoded = np.empty(int(bounds[-1]), np.uint8)
    for index in range(int(sizes.max(initial=0))):
        mask = sizes > index
        low = (keys[mask] >> np.uint64(7 * index)) & np.uint64(0x7F)
        more = (sizes[mask] > index + 1).astype(np.uint8) << 7
        encoded[bounds[:-1][mask] + index] = low.astype(np.uint8) | more
    return encoded.tobytes(), bounds.tolist()

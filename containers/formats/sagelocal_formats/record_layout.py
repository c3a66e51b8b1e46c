"""Rows of one layout: a whole file of records seen as one array, without decoding a record.

Rows that were written in one go differ in nothing but the numbers. So the first record says where
the numbers lie, one comparison says whether all others equal it everywhere else, and the features
are then a view of the buffer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagelocal_formats import recordio
from sagelocal_formats.protobuf_wire import DELIMITED, Message
from sagelocal_formats.record_message import FEATURES, LABEL, TENSOR_DTYPES, VALUES
from sagelocal_formats.rows import Matrix

_BLOCK_BYTES = 1 << 19


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where in a framed record the numbers of a tensor lie."""

    start: int
    count: int
    dtype: np.dtype[Any]

    @property
    def end(self) -> int:
        return self.start + self.count * self.dtype.itemsize


def read_uniform(view: memoryview, source: str) -> Matrix | None:
    """The rows as a view of the buffer, or None unless all share the first record's layout."""
    stride = record_size(view)
    if not stride or len(view) % stride:
        return None
    payload = view[recordio.HEADER.size : stride]
    _, length = recordio.HEADER.unpack(view[: recordio.HEADER.size])
    slots = _value_slots(payload[:length], source)
    if slots is None or not _same_outside(view, stride, list(slots.values())):
        return None
    rows = len(view) // stride
    features = _strided(view, rows, stride, slots[FEATURES])
    labels = _strided(view, rows, stride, slots[LABEL])[:, 0] if LABEL in slots else None
    return Matrix(features, labels)


def uniform_end(view: memoryview) -> int:
    """How far the buffer is records of the first one's size, all of them whole."""
    stride = record_size(view)
    count = len(view) // stride if stride else 0
    if not count:
        return 0
    headers = np.ndarray((count,), "V8", buffer=view, strides=(stride,))
    same = headers == headers[0]
    return stride * (count if bool(same.all()) else int(np.argmin(same)))


def record_size(view: memoryview) -> int:
    """Bytes that the first record takes with its header and padding; 0 if it is no whole one."""
    if len(view) < recordio.HEADER.size:
        return 0
    magic, length = recordio.HEADER.unpack(view[: recordio.HEADER.size])
    if magic != recordio.MAGIC or length > recordio.MAX_PART_BYTES:
        return 0
    return int(recordio.HEADER.size + length + recordio.padding(length))


def _value_slots(payload: memoryview, source: str) -> dict[int, _Slot] | None:
    """Feature and label slots of a plain dense record; None for any other record."""
    slots: dict[int, _Slot] = {}
    message = Message(payload, source, base=recordio.HEADER.size)
    for item in message.fields():
        if item.number not in (FEATURES, LABEL) or item.number in slots:
            return None
        slot = _entry_slot(message.within(item))
        if slot is None:
            return None
        slots[item.number] = slot
    if FEATURES not in slots or (LABEL in slots and slots[LABEL].count != 1):
        return None
    return slots


def _entry_slot(entry: Message) -> _Slot | None:
    slot = None
    for item in entry.fields():
        if item.number == 1 and bytes(entry.raw(item)) != VALUES.encode():
            return None
        if item.number == 2:
            slot = _value_slot(entry.within(item))
    return slot


def _value_slot(value: Message) -> _Slot | None:
    """The packed floats of a value that holds nothing else."""
    outer = list(value.fields())
    if len(outer) != 1 or outer[0].number not in TENSOR_DTYPES:
        return None
    dtype = TENSOR_DTYPES[outer[0].number]
    inner = list(value.within(outer[0]).fields())
    if dtype.kind != "f" or len(inner) != 1 or inner[0].number != 1 or inner[0].wire != DELIMITED:
        return None
    size_bytes = inner[0].end - inner[0].start
    if size_bytes % dtype.itemsize:
        return None
    return _Slot(recordio.HEADER.size + inner[0].start, size_bytes // dtype.itemsize, dtype)


def _same_outside(view: memoryview, stride: int, slots: Sequence[_Slot]) -> bool:
    """Whether every record equals the first one in all bytes but those of the slots."""
    starts = [0] + [slot.end for slot in sorted(slots, key=lambda slot: slot.start)]
    ends = [*sorted(slot.start for slot in slots), stride]
    words = [word for part in zip(starts, ends, strict=True) for word in _words(*part)]
    first = view[:stride]
    # As many records at a time as stay in the processor's cache for all of the words.
    block = max(1, _BLOCK_BYTES // stride) * stride
    return all(
        _all_equal(view[start : start + block], stride, words, first)
        for start in range(0, len(view), block)
    )


def _words(start: int, end: int) -> Iterator[tuple[int, str]]:
    """A part of a record as the fewest integers: where each lies, and its type."""
    while start < end:
        size = next(size for size in (8, 4, 2, 1) if size <= end - start)
        yield start, f"<u{size}"
        start += size


def _all_equal(
    block: memoryview, stride: int, words: Sequence[tuple[int, str]], first: memoryview
) -> bool:
    count = len(block) // stride
    for start, dtype in words:
        column = np.ndarray((count,), dtype, buffer=block, offset=start, strides=(stride,))
        if not (column == np.ndarray((1,), dtype, buffer=first, offset=start)).all():
            return False
    return True


def _strided(view: memoryview, rows: int, stride: int, slot: _Slot) -> NDArray[Any]:
    return np.ndarray(
        (rows, slot.count),
        slot.dtype,
        buffer=view,
        offset=slot.start,
        strides=(stride, slot.dtype.itemsize),
    )

"""Rows of many layouts: all records of a buffer decoded in step, a field at a time.

What one record's decoder does with numbers, this does with arrays of them: every record has a
position, and each step reads the next tag and length of all that are not at their end. Four levels
(record, map entry, value, tensor) leave the places of all numbers, which are then gathered at once.
So the cost is per step and not per record, whatever the widths, types and names of the records.

Only what writers write is understood (packed numbers, every field once). Anything else, and
anything broken, gives None, and the caller decodes record by record, which knows all forms and all
errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sagelocal_formats.protobuf_wire import DELIMITED, MAX_VARINT_BYTES
from sagelocal_formats.record_message import (
    CONFIGURATION,
    FEATURES,
    LABEL,
    TENSOR_DTYPES,
    TENSOR_FIELDS,
    VALUES,
)
from sagelocal_formats.recordio import Frames
from sagelocal_formats.rows import Matrix, SparseRows, ragged

Ints = NDArray[np.int64]
Raw = NDArray[np.uint8]

# More fields in one message than writers of rows produce: each costs a step for all.
_MAX_FIELDS = 64
_MAX_LENGTH_BYTES = 5
# Records taken apart in step: few enough that their positions stay in the processor's cache.
_BLOCK = 4096
_DENSE_ROWS = 512
_NAME = np.frombuffer(VALUES.encode(), np.uint8)
_INT32 = TENSOR_FIELDS[np.dtype("<i4")]


class _OtherForm(Exception):
    """The records are not as they are understood here."""


@dataclass(frozen=True, slots=True)
class _Spans:
    """Parts of the buffer, each belonging to the record `owner`."""

    owner: Ints
    number: Ints
    start: Ints
    end: Ints

    def __len__(self) -> int:
        return len(self.owner)

    def where(self, mask: NDArray[np.bool_]) -> _Spans:
        return _Spans(self.owner[mask], self.number[mask], self.start[mask], self.end[mask])


@dataclass(frozen=True, slots=True)
class _Tensors:
    """One tensor for each record: its type and the places of its values, keys and shape."""

    kinds: Ints
    values: _Spans
    keys: _Spans
    shapes: _Spans


def read_columns(view: memoryview, frames: Frames) -> Matrix | None:
    """Features and labels named "values" of all records; None if they are in another form."""
    if not len(frames.starts):
        return None
    raw = np.frombuffer(view, np.uint8)
    try:
        return _matrix(raw, frames)
    except _OtherForm:
        return None


def _matrix(raw: Raw, frames: Frames) -> Matrix:
    count = len(frames.starts)
    blocks = [
        _block(raw, frames.starts[first : first + _BLOCK], frames.lengths[first : first + _BLOCK])
        for first in range(0, count, _BLOCK)
    ]
    features = _joined_tensors([features for features, _ in blocks])
    labelled = [labels for _, labels in blocks if labels is not None]
    _require(len(labelled) in (0, len(blocks)))
    labels = _labels(raw, _joined_tensors(labelled)) if labelled else None
    return Matrix(_features(raw, features), labels)


def _block(raw: Raw, starts: Ints, lengths: Ints) -> tuple[_Tensors, _Tensors | None]:
    """Where the features and labels of some records lie."""
    owner = np.arange(len(starts), dtype=np.int64)
    fields = _split(raw, _Spans(owner, owner, starts, starts + lengths))
    _require(bool((fields.number <= CONFIGURATION).all()))
    features = _named_values(raw, fields.where(fields.number == FEATURES))
    labels = _named_values(raw, fields.where(fields.number == LABEL))
    return (
        _tensors(raw, features, len(starts)),
        _tensors(raw, labels, len(starts)) if len(labels) else None,
    )


def _joined_tensors(blocks: list[_Tensors]) -> _Tensors:
    return _Tensors(
        np.concatenate([block.kinds for block in blocks]),
        _joined([block.values for block in blocks]),
        _joined([block.keys for block in blocks]),
        _joined([block.shapes for block in blocks]),
    )


def _require(holds: bool) -> None:
    if not holds:
        raise _OtherForm


# --- structure ---------------------------------------------------------------------------------


def _split(raw: Raw, messages: _Spans) -> _Spans:
    """The fields of all messages, all of them with a length."""
    position = messages.start.copy()
    active = np.flatnonzero(position < messages.end)
    found: list[_Spans] = []
    while active.size:
        _require(len(found) < _MAX_FIELDS)
        end = messages.end[active]
        tag, body = _varints_at(raw, position[active], end)
        _require(bool((tag & 7 == DELIMITED).all()) and bool((tag > 7).all()))
        _require(bool((body < end).all()))
        length, body = _varints_at(raw, body, end)
        stop = body + length
        _require(bool((stop <= end).all()))
        found.append(_Spans(messages.owner[active], tag >> 3, body, stop))
        position[active] = stop
        active = active[stop < end]
    return _joined(found)


def _joined(parts: list[_Spans]) -> _Spans:
    if len(parts) == 1:
        return parts[0]
    empty = np.zeros(0, np.int64)
    return _Spans(
        np.concatenate([empty, *(part.owner for part in parts)]),
        np.concatenate([empty, *(part.number for part in parts)]),
        np.concatenate([empty, *(part.start for part in parts)]),
        np.concatenate([empty, *(part.end for part in parts)]),
    )


def _varints_at(raw: Raw, position: Ints, end: Ints) -> tuple[Ints, Ints]:
    """The number at each position, and the position after it."""
    first = raw[position]
    value = (first & 0x7F).astype(np.int64)
    after = position + 1
    more = np.flatnonzero(first > 0x7F)
    for index in range(1, _MAX_LENGTH_BYTES):
        if not more.size:
            return value, after
        at = position[more] + index
        _require(bool((at < end[more]).all()))
        byte = raw[at]
        value[more] |= (byte & 0x7F).astype(np.int64) << (7 * index)
        after[more] += 1
        more = more[byte > 0x7F]
    _require(not more.size)
    return value, after


def _named_values(raw: Raw, entries: _Spans) -> _Spans:
    """The values of the map entries called "values"; each entry has one name and one value."""
    # Numbered anew: entries are several for a record.
    index = np.arange(len(entries))
    fields = _split(raw, _Spans(index, entries.number, entries.start, entries.end))
    names = _one_each(fields, 1, len(entries))
    values = _one_each(fields, 2, len(entries))
    _require(len(fields) == 2 * len(entries))
    called = _spell(raw, names)
    chosen = values.where(called)
    return _Spans(entries.owner[called], chosen.number, chosen.start, chosen.end)


def _spell(raw: Raw, names: _Spans) -> NDArray[np.bool_]:
    """Which names are "values"."""
    same: NDArray[np.bool_] = names.end - names.start == len(_NAME)
    at = names.start[same][:, None] + np.arange(len(_NAME))
    same[same] = (raw[at] == _NAME).all(axis=1)
    return same


def _one_each(fields: _Spans, number: int, count: int) -> _Spans:
    """The field of that number of each of `count` owners, in their order."""
    chosen = fields.where(fields.number == number)
    _require(len(chosen) == count)
    return _in_order(chosen, count)


def _at_most_one(fields: _Spans, number: int, count: int) -> _Spans:
    """The same with an empty span where there is none."""
    chosen = fields.where(fields.number == number)
    missing = np.ones(count, bool)
    missing[chosen.owner] = False
    owners = np.flatnonzero(missing)
    zeros = np.zeros(len(owners), np.int64)
    return _in_order(_joined([chosen, _Spans(owners, zeros, zeros, zeros)]), count)


def _in_order(spans: _Spans, count: int) -> _Spans:
    order = np.argsort(spans.owner, kind="stable")
    sorted_spans = _Spans(
        spans.owner[order], spans.number[order], spans.start[order], spans.end[order]
    )
    _require(bool((sorted_spans.owner == np.arange(count)).all()) if len(spans) == count else False)
    return sorted_spans


def _tensors(raw: Raw, values: _Spans, count: int) -> _Tensors:
    """The one tensor of each record."""
    _require(len(values) == count)
    values = _in_order(values, count)
    outer = _split(raw, values)
    _require(len(outer) == count)
    outer = _in_order(outer, count)
    kinds = outer.number
    _require(bool(np.isin(kinds, list(TENSOR_DTYPES)).all()))
    inner = _split(raw, outer)
    _require(bool((inner.number <= 3).all()))
    parts = [_at_most_one(inner, number, count) for number in (1, 2, 3)]
    return _Tensors(kinds, *parts)


# --- numbers -----------------------------------------------------------------------------------


def _labels(raw: Raw, tensors: _Tensors) -> NDArray[Any]:
    _require(bool((tensors.keys.start == tensors.keys.end).all()))
    labels, counts = _numbers(raw, tensors)
    _require(bool((counts == 1).all()))
    return labels


def _features(raw: Raw, tensors: _Tensors) -> NDArray[Any] | SparseRows:
    keys, key_counts = _packed_varints(raw, tensors.keys)
    shapes, shape_counts = _packed_varints(raw, tensors.shapes)
    if not key_counts.any() and not shape_counts.any():
        dense = _dense(raw, tensors)
        if dense is not None:
            return dense
    values, counts = _numbers(raw, tensors)
    sparse = (key_counts > 0) | ((counts == 0) & (shape_counts > 0))
    if not sparse.any():
        _require(bool((counts == counts[0]).all()))
        return values.reshape(len(counts), int(counts[0]))
    _require(bool((key_counts == counts)[key_counts > 0].all()))
    _require(bool((shape_counts <= 1).all()) and bool((shapes >= 0).all()))
    without = key_counts == 0
    width = int(shapes[0]) if len(shapes) else 0
    width = width or int(counts[without].max(initial=0))
    _require(bool((shapes == width).all()))
    if without.any():
        # A dense row among sparse ones fills the columns from the first on.
        keys = _with_counted(keys, key_counts, counts)
    _require(not keys.size or bool(keys.min() >= 0 and keys.max() < width))
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    with np.errstate(over="ignore"):
        return SparseRows(indptr, keys, values.astype(np.float32, copy=False), width)


def _dense(raw: Raw, tensors: _Tensors) -> NDArray[Any] | None:
    """Floats of one width as a matrix, gathered some rows at a time; None for anything else."""
    rows_of = {kind: np.flatnonzero(tensors.kinds == kind) for kind in TENSOR_DTYPES}
    rows_of = {kind: rows for kind, rows in rows_of.items() if len(rows)}
    sizes = tensors.values.end - tensors.values.start
    widths = {int(sizes[rows[0]]) / TENSOR_DTYPES[kind].itemsize for kind, rows in rows_of.items()}
    width = int(widths.pop())
    if _INT32 in rows_of or widths or not width:
        return None
    out = np.empty((len(sizes), width), np.result_type(*(TENSOR_DTYPES[kind] for kind in rows_of)))
    for kind, rows in rows_of.items():
        size = width * TENSOR_DTYPES[kind].itemsize
        if bool((sizes[rows] != size).any()):
            return None
        items = _items(raw, size)
        for first in range(0, len(rows), _DENSE_ROWS):
            chosen = rows[first : first + _DENSE_ROWS]
            numbers = items[tensors.values.start[chosen]].view(TENSOR_DTYPES[kind])
            out[chosen] = numbers.reshape(-1, width)
    return out


def _items(raw: Raw, size: int) -> NDArray[np.void]:
    """The buffer as items of that size, one beginning at each byte."""
    return np.ndarray((len(raw) - size + 1,), f"V{size}", buffer=raw.data, strides=(1,))


def _with_counted(keys: Ints, key_counts: Ints, counts: Ints) -> Ints:
    out = ragged(np.zeros(len(counts), np.int64), counts)
    starts = np.cumsum(counts) - counts
    given = key_counts > 0
    out[ragged(starts[given], counts[given])] = keys
    return out


def _numbers(raw: Raw, tensors: _Tensors) -> tuple[NDArray[Any], Ints]:
    """The values of all tensors one after the other, and how many each has."""
    kinds = [kind for kind in TENSOR_DTYPES if (tensors.kinds == kind).any()]
    if len(kinds) == 1:
        return _of_kind(raw, kinds[0], tensors.values)
    parts = []
    counts = np.zeros(len(tensors.kinds), np.int64)
    for kind in kinds:
        mask = tensors.kinds == kind
        numbers, counts[mask] = _of_kind(raw, kind, tensors.values.where(mask))
        parts.append((mask, numbers))
    return _merged(parts, counts), counts


def _merged(parts: list[tuple[NDArray[np.bool_], NDArray[Any]]], counts: Ints) -> NDArray[Any]:
    """The numbers of records of different types in the order of the records."""
    out = np.empty(int(counts.sum()), np.result_type(*(numbers.dtype for _, numbers in parts)))
    width = int(counts[0])
    if width and bool((counts == width).all()):
        for mask, numbers in parts:
            out.reshape(-1, width)[mask] = numbers.reshape(-1, width)
        return out
    starts = np.cumsum(counts) - counts
    for mask, numbers in parts:
        out[ragged(starts[mask], counts[mask])] = numbers
    return out


def _of_kind(raw: Raw, kind: int, spans: _Spans) -> tuple[NDArray[Any], Ints]:
    if kind == _INT32:
        wide, counts = _packed_varints(raw, spans)
        return wide.astype(np.int32), counts
    dtype = TENSOR_DTYPES[kind]
    sizes = spans.end - spans.start
    _require(not bool((sizes % dtype.itemsize).any()))
    return _content(raw, spans).view(dtype), sizes // dtype.itemsize


def _content(raw: Raw, spans: _Spans) -> Raw:
    """The bytes of all spans, one after the other."""
    sizes = spans.end - spans.start
    size = int(sizes[0]) if len(sizes) else 0
    if size and bool((sizes == size).all()):
        return _items(raw, size)[spans.start].view(np.uint8)
    filled = np.flatnonzero(sizes)
    blocks = (filled[first : first + _BLOCK] for first in range(0, len(filled), _BLOCK))
    return np.frombuffer(b"".join(_pieces(raw, spans, block) for block in blocks), np.uint8)


def _pieces(raw: Raw, spans: _Spans, chosen: Ints) -> bytes:
    """The bytes of some spans; they lie in the order of the file."""
    starts, ends = spans.start[chosen], spans.end[chosen]
    first = int(starts[0])
    # Cutting bytes is twice as fast as cutting a memoryview.
    block = raw[first : int(ends[-1])].tobytes()
    bounds = zip((starts - first).tolist(), (ends - first).tolist(), strict=True)
    return b"".join([block[start:end] for start, end in bounds])


def _packed_varints(raw: Raw, spans: _Spans) -> tuple[Ints, Ints]:
    """The packed integers of all spans as 64-bit two's complements, and how many each has."""
    sizes = spans.end - spans.start
    total = int(sizes.sum())
    if not total:
        return np.zeros(0, np.int64), np.zeros(len(sizes), np.int64)
    data = _content(raw, spans)
    is_last = data < 0x80
    span_ends = np.cumsum(sizes)
    _require(bool(is_last[span_ends[sizes > 0] - 1].all()))
    ends = np.flatnonzero(is_last)
    upto = np.searchsorted(ends, span_ends) if len(ends) != total else span_ends
    return _joined_varints(data, ends), np.diff(upto, prepend=0)


def _joined_varints(data: Raw, ends: Ints) -> Ints:
    """The numbers whose last bytes lie at `ends`."""
    if len(ends) == len(data):
        return data.astype(np.int64)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    longest = int(lengths.max())
    _require(longest <= MAX_VARINT_BYTES)
    value = (data[starts] & 0x7F).astype(np.uint64)
    for index in range(1, longest):
        longer = np.flatnonzero(lengths > index)
        byte = (data[starts[longer] + index] & 0x7F).astype(np.uint64)
        value[longer] |= byte << np.uint64(7 * index)
    signed: Ints = value.view(np.int64)
    return signed

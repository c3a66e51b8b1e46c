"""A file as records, and records as the bodies of requests: SplitType and BatchStrategy.

    Line        to a newline, which stays with its record
    RecordIO    magic, and three bits of a record's part above its length (MXNet's recordio)
    TFRecord    a length, its checksum, the data, its checksum (TensorFlow's tf.data)

Nothing is decoded: a record keeps its frame, as containers are sent it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

_RECORDIO_MAGIC = 0xCED7230A
_RECORDIO_HEADER = struct.Struct("<II")
_LENGTH_BITS = 29
_WHOLE, _LAST = 0, 3
_TFRECORD_LENGTH = struct.Struct("<Q")
_CHECKSUM_BYTES = 4


class BadRecord(ValueError):
    """A file that is not of its SplitType, or a record too long to be sent; the text says where."""


def records(stream: BinaryIO, split_type: str, most_bytes: int | None) -> Iterator[bytes]:
    """The records of a file; all of it is one if it is not split. Raises BadRecord."""
    read = _SPLITTERS[split_type]
    for number, record in enumerate(read(stream, most_bytes), start=1):
        if most_bytes is not None and len(record) > most_bytes:
            what = "The file" if split_type == "None" else f"Record {number}"
            more = "; give it a SplitType" if split_type == "None" else ""
            raise BadRecord(
                f"{what} is longer than MaxPayloadInMB allows, {most_bytes} bytes; raise "
                f"MaxPayloadInMB{more}"
            )
        yield record


def batches(
    found: Iterator[bytes], *, single: bool, most_bytes: int | None
) -> Iterator[tuple[bytes, ...]]:
    """Records for one request each: one, or as many as there may be bytes.

    >>> list(batches(iter([b"aa", b"bb", b"c"]), single=False, most_bytes=4))
    [(b'aa', b'bb'), (b'c',)]
    """
    batch: list[bytes] = []
    size = 0
    for record in found:
        full = single or (most_bytes is not None and size + len(record) > most_bytes)
        if batch and full:
            yield tuple(batch)
            batch, size = [], 0
        batch.append(record)
        size += len(record)
    if batch:
        yield tuple(batch)


def _whole(stream: BinaryIO, most_bytes: int | None) -> Iterator[bytes]:
    yield stream.read() if most_bytes is None else stream.read(most_bytes + 1)


def _lines(stream: BinaryIO, most_bytes: int | None) -> Iterator[bytes]:
    longest = -1 if most_bytes is None else most_bytes + 1
    while line := stream.readline(longest):
        yield line


def _recordio(stream: BinaryIO, most_bytes: int | None) -> Iterator[bytes]:
    record, number = b"", 1
    while header := stream.read(_RECORDIO_HEADER.size):
        if len(header) < _RECORDIO_HEADER.size:
            raise BadRecord(f"The file ends in record {number}")
        magic, word = _RECORDIO_HEADER.unpack(header)
        if magic != _RECORDIO_MAGIC:
            raise BadRecord(f"Record {number} does not begin as RecordIO does")
        part, length = word >> _LENGTH_BITS, word & ((1 << _LENGTH_BITS) - 1)
        padded = (length + 3) // 4 * 4
        record += header + _exactly(stream, padded, number)
        if part in (_WHOLE, _LAST):
            yield record
            record, number = b"", number + 1
    if record:
        raise BadRecord(f"The file ends in record {number}")


def _tfrecord(stream: BinaryIO, most_bytes: int | None) -> Iterator[bytes]:
    number = 1
    while header := stream.read(_TFRECORD_LENGTH.size):
        if len(header) < _TFRECORD_LENGTH.size:
            raise BadRecord(f"The file ends in record {number}")
        (length,) = _TFRECORD_LENGTH.unpack(header)
        if most_bytes is not None and length > most_bytes:
            raise BadRecord(
                f"Record {number} is no TFRecord, or longer than MaxPayloadInMB allows: its "
                f"length is {length} bytes"
            )
        yield header + _exactly(stream, length + 2 * _CHECKSUM_BYTES, number)
        number += 1


def _exactly(stream: BinaryIO, size: int, number: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise BadRecord(f"The file ends in record {number}")
    return found


_SPLITTERS = {"None": _whole, "Line": _lines, "RecordIO": _recordio, "TFRecord": _tfrecord}

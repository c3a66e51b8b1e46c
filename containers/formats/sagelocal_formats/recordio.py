"""RecordIO framing: records of any bytes, one after the other, in one file or stream.

    u32 magic 0xced7230a | u32 lrec | payload | zero bytes up to a multiple of 4

All numbers are little-endian. The upper 3 bits of `lrec` are the continuation flag, the lower 29
the payload's length. MXNet's writer never lets the magic appear at a 4-byte boundary inside a
payload, so that a reader may start anywhere: it cuts the payload there, drops the four bytes and
marks the parts (1 first, 2 middle, 3 last; 0 is a whole record). SageMaker's own writers never
cut. The reader here understands both. Source: dmlc-core's `recordio.h`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from sagelocal_formats.errors import FormatError

MAGIC = 0xCED7230A
MAGIC_BYTES = struct.pack("<I", MAGIC)
HEADER = struct.Struct("<II")
LENGTH_BITS = 29
MAX_PART_BYTES = (1 << LENGTH_BITS) - 1

WHOLE, FIRST, MIDDLE, LAST = 0, 1, 2, 3


def padding(size_bytes: int) -> int:
    """How many zero bytes follow a payload of this size."""
    return -size_bytes % 4


class Source(Protocol):
    """What records are read from: an open file, a pipe, a body."""

    def read(self, size: int = ..., /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Frames:
    """Whole records in a buffer: where each payload starts, its length, and where the last ends."""

    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    end: int


def read_records(stream: Source, source: str = "<stream>") -> Iterator[bytes]:
    """The payloads of a stream, one at a time; raises FormatError where the framing breaks."""
    for _, payload in read_located(stream, source):
        yield payload


def read_located(
    stream: Source, source: str = "<stream>", base: int = 0
) -> Iterator[tuple[int, bytes]]:
    """Each record's byte in the stream (its header's, plus `base`) and its payload."""
    return _Reader(stream, source, base).records()


def scan(view: memoryview) -> Frames | None:
    """The records at the beginning of a buffer, as far as they are whole; nothing is copied.

    None if there is one that is cut into parts, or anything that is no record: `read_located` says
    what and where.
    """
    words = np.frombuffer(view, "<u4", len(view) // 4)
    at = np.flatnonzero(words[:-1] == MAGIC)
    lengths = words[at + 1].astype(np.int64)
    starts = 4 * at + HEADER.size
    ends = starts + lengths
    following = ends + -lengths % 4 + HEADER.size
    is_chain = bool((starts[1:] == following[:-1]).all()) and bool((lengths < 1 << 29).all())
    if not len(at) or at[0] or not is_chain:
        return _scan_one_by_one(view)  # A magic among the payloads, or something broken.
    if ends[-1] <= len(view):
        return Frames(starts, lengths, min(int(following[-1]) - HEADER.size, len(view)))
    return Frames(starts[:-1], lengths[:-1], int(starts[-1]) - HEADER.size)


def _scan_one_by_one(view: memoryview) -> Frames | None:
    starts: list[int] = []
    lengths: list[int] = []
    position, size = 0, len(view)
    while position + HEADER.size <= size:
        magic, length = HEADER.unpack_from(view, position)
        if magic != MAGIC or length > MAX_PART_BYTES:
            return None
        end = position + HEADER.size + length
        if end > size:
            break
        starts.append(position + HEADER.size)
        lengths.append(length)
        position = end + padding(length)
    return Frames(np.array(starts, np.int64), np.array(lengths, np.int64), min(position, size))


def write_record(stream: BinaryIO, payload: bytes, *, split_at_magic: bool = True) -> int:
    """Append one record; returns how many bytes it took.

    `split_at_magic` follows MXNet's writer. Readers that ignore the continuation flag (those of
    the SageMaker SDK) need it off.
    """
    size_bytes = 0
    for flag, part in _parts(payload) if split_at_magic else [(WHOLE, payload)]:
        if len(part) > MAX_PART_BYTES:
            raise ValueError(
                f"a record part of {len(part)} bytes does not fit into RecordIO's "
                f"{MAX_PART_BYTES} bytes"
            )
        stream.write(HEADER.pack(MAGIC, flag << LENGTH_BITS | len(part)))
        stream.write(part)
        stream.write(bytes(padding(len(part))))
        size_bytes += HEADER.size + len(part) + padding(len(part))
    return size_bytes


def _parts(payload: bytes) -> list[tuple[int, bytes]]:
    """A payload cut at every magic that stands on a 4-byte boundary."""
    cuts = list(_aligned_magics(payload))
    if not cuts:
        return [(WHOLE, payload)]
    starts = [0] + [cut + 4 for cut in cuts]
    ends = [*cuts, len(payload)]
    flags = [FIRST] + [MIDDLE] * (len(cuts) - 1) + [LAST]
    return [
        (flag, payload[start:end]) for flag, start, end in zip(flags, starts, ends, strict=True)
    ]


def _aligned_magics(payload: bytes) -> Iterator[int]:
    position = payload.find(MAGIC_BYTES)
    while position >= 0:
        if position % 4 == 0:
            yield position
            position = payload.find(MAGIC_BYTES, position + 4)
        else:
            position = payload.find(MAGIC_BYTES, position + 1)


class _Reader:
    """Where in the stream we are, and the parts of the record that is being put together."""

    def __init__(self, stream: Source, source: str, base: int) -> None:
        self._stream = stream
        self._source = source
        self._offset = base

    def records(self) -> Iterator[tuple[int, bytes]]:
        parts: list[bytes] = []
        started = 0
        while (part := self._part()) is not None:
            at, flag, payload = part
            self._check_order(flag, at, open_record=bool(parts))
            if not parts:
                started = at
            parts.append(payload)
            if flag in (WHOLE, LAST):
                yield started, MAGIC_BYTES.join(parts)
                parts = []
        if parts:
            raise self._error("the last record's closing part is missing", started)

    def _part(self) -> tuple[int, int, bytes] | None:
        """Offset, flag and payload of the next part; None at the end of the stream."""
        at = self._offset
        header = self._take(HEADER.size)
        if not header:
            return None
        if not MAGIC_BYTES.startswith(header[:4]):
            raise self._error(
                f"not a RecordIO record: found {header[:4]!r} where the magic {MAGIC_BYTES!r} "
                "belongs",
                at,
            )
        if len(header) < HEADER.size:
            raise self._error(f"truncated: {len(header)} bytes of a record's 8-byte header", at)
        _, lrec = HEADER.unpack(header)
        length = lrec & MAX_PART_BYTES
        body = self._take(length + padding(length))
        if len(body) < length:
            raise self._error(
                f"truncated: the record's header promises {length} bytes, {len(body)} are there",
                at,
            )
        return at, lrec >> LENGTH_BITS, body[:length]

    def _take(self, size_bytes: int) -> bytes:
        """Up to so many bytes: a pipe may hand them over in several reads."""
        pieces: list[bytes] = []
        missing = size_bytes
        while missing and (piece := self._stream.read(min(missing, 1 << 24))):
            pieces.append(piece)
            missing -= len(piece)
        self._offset += size_bytes - missing
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _check_order(self, flag: int, at: int, *, open_record: bool) -> None:
        if flag > LAST:
            raise self._error(f"unknown continuation flag {flag}", at)
        if open_record and flag in (WHOLE, FIRST):
            raise self._error("a new record begins before the one before it is closed", at)
        if not open_record and flag in (MIDDLE, LAST):
            raise self._error("the middle of a record without its beginning", at)

    def _error(self, problem: str, offset: int) -> FormatError:
        return FormatError(problem, source=self._source, offset=offset)

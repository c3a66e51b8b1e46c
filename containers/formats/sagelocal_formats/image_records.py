"""MXNet's image records: `.rec` files of labelled images with their `.idx` and `.lst` companions.

    .rec    RecordIO, each payload: u32 flag | f32 label | u64 id | u64 id2 | labels | image
            flag 0: the header's label counts; flag n: n float32 labels follow the header
    .idx    one line per record: key, a tab, the byte of the .rec at which it begins
    .lst    one line per image: index, one or more labels, path, separated by tabs

Numbers in the .rec are little-endian. The image is a JPEG or PNG file as it is; nothing here
decodes it. Source: `IRHeader` in MXNet's python/mxnet/recordio.py and tools/im2rec.py.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from sagelocal_formats import recordio
from sagelocal_formats.errors import FormatError
from sagelocal_formats.text_lines import numbered_lines, parsed_float

HEADER = struct.Struct("<IfQQ")
_MAX_LABELS = (1 << 32) - 1
_MAX_ID = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image with its labels: one (a class) or several (classes, boxes)."""

    labels: tuple[float, ...]
    image: bytes
    id: int = 0
    id2: int = 0


@dataclass(frozen=True, slots=True)
class ListedImage:
    """A line of a .lst file; `path` is relative to the folder of the images."""

    index: int
    labels: tuple[float, ...]
    path: str


def read_image_records(stream: recordio.Source, source: str = "<stream>") -> Iterator[ImageRecord]:
    """The images of a .rec file or pipe, one at a time; raises FormatError."""
    for number, (at, payload) in enumerate(recordio.read_located(stream, source), 1):
        yield unpack(payload, f"{source}, record {number}", at + recordio.HEADER.size)


def read_image_record_at(stream: BinaryIO, offset: int, source: str = "<stream>") -> ImageRecord:
    """The image that begins at a byte of the .rec file, as its index says; raises FormatError."""
    stream.seek(offset)
    for at, payload in recordio.read_located(stream, source, offset):
        return unpack(payload, source, at + recordio.HEADER.size)
    raise FormatError("no record begins here: the file is at its end", source=source, offset=offset)


def write_image_records(
    stream: BinaryIO, records: Iterable[ImageRecord], index: dict[int, int] | None = None
) -> None:
    """Append images as MXNet does; `index` takes the byte of each by its id, for `encode_index`.

    Raises ValueError for numbers that do not fit.
    """
    position = stream.tell() if index is not None else 0
    for record in records:
        if index is not None:
            index[record.id] = position
        position += recordio.write_record(stream, pack(record))


def pack(record: ImageRecord) -> bytes:
    """The payload of one record; raises ValueError for numbers that do not fit."""
    labels = record.labels
    if not labels:
        raise ValueError("an image record needs a label")
    if not (0 <= record.id <= _MAX_ID and 0 <= record.id2 <= _MAX_ID):
        raise ValueError(f"the ids {record.id} and {record.id2} must be from 0 to {_MAX_ID}")
    try:
        if len(labels) == 1:
            return HEADER.pack(0, labels[0], record.id, record.id2) + record.image
        numbers = struct.pack(f"<{len(labels)}f", *labels)
    except OverflowError:
        raise ValueError(f"a label of {labels} is no 32-bit number") from None
    return HEADER.pack(len(labels), 0.0, record.id, record.id2) + numbers + record.image


def unpack(payload: bytes, source: str = "<bytes>", base: int = 0) -> ImageRecord:
    """Read the payload of one record; raises FormatError, whose byte is counted from `base`."""
    if len(payload) < HEADER.size:
        raise FormatError(
            f"truncated: {len(payload)} bytes, an image record's header has {HEADER.size}",
            source=source,
            offset=base,
        )
    flag, label, first_id, second_id = HEADER.unpack_from(payload)
    if not flag:
        return ImageRecord((label,), payload[HEADER.size :], first_id, second_id)
    image_at = HEADER.size + 4 * flag
    if image_at > len(payload):
        raise FormatError(
            f"the header promises {flag} labels, there are bytes for "
            f"{(len(payload) - HEADER.size) // 4}",
            source=source,
            offset=base,
        )
    labels = struct.unpack_from(f"<{flag}f", payload, HEADER.size)
    return ImageRecord(labels, payload[image_at:], first_id, second_id)


def read_index(data: bytes, source: str = "<bytes>") -> dict[int, int]:
    """The byte of each record by its key, from a .idx file; raises FormatError."""
    index: dict[int, int] = {}
    for number, line in numbered_lines(data, source):
        cells = line.split("\t")
        if len(cells) != 2 or not all(cell.isascii() and cell.isdigit() for cell in cells):
            raise FormatError(
                f"{line[:80]!r} is no line of an index: a key, a tab and a byte",
                source=source,
                line=number,
            )
        index[_whole(cells[0], source, number)] = _whole(cells[1], source, number)
    return index


def encode_index(index: Mapping[int, int]) -> bytes:
    """A .idx file."""
    return "".join(f"{key}\t{offset}\n" for key, offset in index.items()).encode()


def read_list(data: bytes, source: str = "<bytes>") -> Iterator[ListedImage]:
    """The lines of a .lst file; raises FormatError."""
    for number, line in numbered_lines(data, source):
        cells = line.split("\t")
        if len(cells) < 3:
            raise FormatError(
                f"{len(cells)} columns; index, at least one label and path are separated by tabs",
                source=source,
                line=number,
            )
        labels = tuple(
            parsed_float(cell, source, number, column) for column, cell in enumerate(cells[1:-1], 2)
        )
        yield ListedImage(_listed_index(cells[0], source, number), labels, cells[-1].strip())


def encode_list(images: Iterable[ListedImage]) -> bytes:
    """A .lst file; raises ValueError for what no line can hold."""
    return "".join(_list_line(image) for image in images).encode()


def _list_line(image: ListedImage) -> str:
    if not image.labels or not image.path.strip() or any(c in image.path for c in "\t\r\n"):
        raise ValueError(f"{image} has no label, or a path that is empty or holds a tab or newline")
    cells = [str(image.index), *(f"{label!r}" for label in image.labels), image.path]
    return "\t".join(cells) + "\n"


def _listed_index(cell: str, source: str, line: int) -> int:
    """im2rec writes whole numbers; lists made with other tools have 0.0, 1.0, …"""
    if cell.isascii() and cell.isdigit():
        return _whole(cell, source, line)
    value = parsed_float(cell, source, line, 1)
    if value % 1 or not 0 <= value <= _MAX_ID:
        raise FormatError(f"{cell!r} is no index", source=source, line=line, column=1)
    return int(value)


def _whole(cell: str, source: str, line: int) -> int:
    # More digits than Python turns into a number are no place in any file.
    if len(cell) > 20 or (number := int(cell)) > _MAX_ID:
        raise FormatError(f"{cell[:40]!r} is larger than 64 bits", source=source, line=line)
    return number

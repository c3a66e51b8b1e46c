"""Records into a pipe, at the speed of the kernel where nothing has to be done to the bytes.

A plain object goes from the page cache to the pipe by splice(2). RecordIO wrapping puts a header
before and zero bytes behind it (u32 magic, u32 length, payload, padding to 4 bytes; dmlc-core's
`recordio.h`); gzip is undone here, as the cloud does in Pipe mode.
"""

from __future__ import annotations

import errno
import os
import struct
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from sagelocal.runtime.feeder.ahead import Ahead
from sagelocal.runtime.feeder.unzip import CHUNK_BYTES, FeedError, unzipped

# Unzipped content that waits for the pipe, which itself holds 1 MiB.
UNZIPPED_BYTES = 1 << 23
MOST_UNZIPPERS = 4
# Of one unzipped record that is kept in memory until its length is known; the rest is on disk.
KEPT_BYTES = 1 << 25
RECORDIO_MAGIC = 0xCED7230A
# Three of the length's 32 bits mark the parts of a divided record.
MAX_RECORDIO_BYTES = (1 << 29) - 1


@dataclass(frozen=True)
class Stream:
    """How the items of a channel's records are written to its pipe `descriptor`."""

    descriptor: int
    gzip: bool
    recordio: bool

    def send(self, items: Iterable[Mapping[str, str]]) -> None:
        """Write them one after another, waiting while the pipe is full.

        Raises FeedError, and BrokenPipeError once the reader has closed.
        """
        if not self.gzip:
            for item in items:
                self._send(item)
            return
        with Ahead(map(self._chunks, items), unzippers(), UNZIPPED_BYTES) as chunks:
            for chunk in chunks:
                _write(self.descriptor, chunk)

    def _send(self, item: Mapping[str, str]) -> None:
        if "text" in item:
            _write(self.descriptor, b"".join(self._text(item["text"])))
            return
        with _open(item) as file:
            size = os.fstat(file.fileno()).st_size
            head, tail = self._frame(size, item["source"])
            _write(self.descriptor, head)
            self._splice(file, size)
            _write(self.descriptor, tail)

    def _chunks(self, item: Mapping[str, str]) -> Iterator[bytes]:
        """What is written for an item whose object is gzipped."""
        if "text" in item:
            yield from self._text(item["text"])
            return
        with _open(item) as file:
            content = unzipped(file, item["source"])
            yield from self._wrapped(content, item["source"]) if self.recordio else content

    def _text(self, text: str) -> tuple[bytes, bytes, bytes]:
        content = text.encode()
        head, tail = self._frame(len(content), "a text")
        return head, content, tail

    def _wrapped(self, content: Iterator[bytes], source: str) -> Iterator[bytes]:
        """As one record; its length comes first, and only the end of the object tells it."""
        kept, size = [], 0
        with tempfile.SpooledTemporaryFile(max_size=1) as rest:
            for chunk in content:
                if size < KEPT_BYTES:
                    kept.append(chunk)
                else:
                    rest.write(chunk)
                size += len(chunk)
            head, tail = self._frame(size, source)
            yield head
            yield from kept
            rest.seek(0)
            while chunk := rest.read(CHUNK_BYTES):
                yield chunk
            yield tail

    def _frame(self, size: int, source: str) -> tuple[bytes, bytes]:
        """What stands before and behind so many bytes."""
        if not self.recordio:
            return b"", b""
        if size > MAX_RECORDIO_BYTES:
            raise FeedError(
                f"{source} has {size} bytes; a RecordIO record holds {MAX_RECORDIO_BYTES} at most. "
                "Divide it, or set RecordWrapperType to None"
            )
        return struct.pack("<II", RECORDIO_MAGIC, size), bytes(-size % 4)

    def _splice(self, file: BinaryIO, size: int) -> None:
        offset = 0
        try:
            while offset < size:
                moved = os.splice(file.fileno(), self.descriptor, size - offset, offset_src=offset)
                if not moved:
                    raise FeedError(f"an object ended after {offset} of {size} bytes")
                offset += moved
        except OSError as error:
            # Not every file system can; what it did so far stays done.
            if error.errno not in (errno.EINVAL, errno.ENOSYS):
                raise
            file.seek(offset)
            while chunk := file.read(CHUNK_BYTES):
                _write(self.descriptor, chunk)


def unzippers() -> int:
    """How many objects are unzipped at once."""
    return min(MOST_UNZIPPERS, len(os.sched_getaffinity(0)))


def _open(item: Mapping[str, str]) -> BinaryIO:
    try:
        return open(item["file"], "rb")
    except FileNotFoundError as error:
        raise FeedError(f"{item['source']} is not there any more: {error}") from error


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]

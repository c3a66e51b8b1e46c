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
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

CHUNK_BYTES = 1 << 20
RECORDIO_MAGIC = 0xCED7230A
# Three of the length's 32 bits mark the parts of a divided record.
MAX_RECORDIO_BYTES = (1 << 29) - 1
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
# What is not yet unzipped is moved at each step, so not much is read at once.
_ZIPPED_BYTES = 1 << 17


class FeedError(Exception):
    """What a record is made of cannot be sent; fit for a FailureReason."""


@dataclass(frozen=True)
class Stream:
    """How the items of a channel's records are written to its pipe `descriptor`."""

    descriptor: int
    gzip: bool
    recordio: bool

    def send(self, item: dict[str, Any]) -> None:
        """Write one item, waiting while the pipe is full.

        Raises FeedError, and BrokenPipeError once the reader has closed.
        """
        if "text" in item:
            text = item["text"].encode()
            self._framed(len(text), "a text", lambda: _write(self.descriptor, text))
            return
        try:
            with open(item["file"], "rb") as file:
                self._send_file(file, item["source"])
        except FileNotFoundError as error:
            raise FeedError(f"{item['source']} is not there any more: {error}") from error

    def _send_file(self, file: BinaryIO, source: str) -> None:
        if not self.gzip:
            size = os.fstat(file.fileno()).st_size
            self._framed(size, source, lambda: self._splice(file, size))
        elif not self.recordio:
            for chunk in unzipped(file, source):
                _write(self.descriptor, chunk)
        else:
            # The length comes first, and only the end of the object tells it.
            with tempfile.TemporaryFile() as whole:
                size = sum(whole.write(chunk) for chunk in unzipped(file, source))
                whole.flush()
                self._framed(size, source, lambda: self._splice(whole, size))

    def _framed(self, size: int, source: str, send: Any) -> None:
        if not self.recordio:
            send()
            return
        if size > MAX_RECORDIO_BYTES:
            raise FeedError(
                f"{source} has {size} bytes; a RecordIO record holds {MAX_RECORDIO_BYTES} at most. "
                "Divide it, or set RecordWrapperType to None"
            )
        _write(self.descriptor, struct.pack("<II", RECORDIO_MAGIC, size))
        send()
        _write(self.descriptor, bytes(-size % 4))

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


def unzipped(file: BinaryIO, source: str) -> Iterator[bytes]:
    """The content of a gzip file of one or more members. Raises FeedError."""
    member = zlib.decompressobj(_GZIP_WINDOW)
    started = False
    while data := file.read(_ZIPPED_BYTES):
        while data:
            if member.eof:
                # Zero bytes may follow the last member (RFC 1952 leaves it open; gzip takes them).
                data = data.lstrip(b"\0")
                member, started = zlib.decompressobj(_GZIP_WINDOW), False
                continue
            started = True
            try:
                chunk = member.decompress(data, CHUNK_BYTES)
            except zlib.error as error:
                raise FeedError(
                    f"{source} cannot be decompressed ({error}); CompressionType Gzip is for "
                    "objects that gzip wrote"
                ) from error
            if chunk:
                yield chunk
            data = member.unused_data if member.eof else member.unconsumed_tail
    if started and not member.eof:
        raise FeedError(f"{source} ends in the middle of its gzip data: it was cut off")


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]

"""Gzip undone, as fast as this machine can.

`isal` (Intel's ISA-L) takes two to three times the bytes a second of zlib and has zlib's interface,
so where it has no wheel the standard library stands in.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO

try:
    from isal.igzip_lib import IsalError
    from isal.isal_zlib import decompressobj

    # Its stub takes the class for an instance.
    _BROKEN: tuple[type[Exception], ...] = (IsalError,)  # type: ignore[assignment]
except ImportError:
    from zlib import decompressobj  # type: ignore[assignment]

    _BROKEN = (zlib.error,)

CHUNK_BYTES = 1 << 18
_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
# What is not yet unzipped is moved at each step, so not much is read at once.
_ZIPPED_BYTES = 1 << 17


class FeedError(Exception):
    """What a record is made of cannot be sent; fit for a FailureReason."""


def unzipped(file: BinaryIO, source: str) -> Iterator[bytes]:
    """The content of a gzip file of one or more members. Raises FeedError."""
    member = decompressobj(_GZIP_WINDOW)
    started = False
    while data := file.read(_ZIPPED_BYTES):
        while data:
            if member.eof:
                # Zero bytes may follow the last member (RFC 1952 leaves it open; gzip takes them).
                data = data.lstrip(b"\0")
                member, started = decompressobj(_GZIP_WINDOW), False
                continue
            # ISA-L does not look before it has the whole header.
            if not started and not _MAGIC.startswith(data[: len(_MAGIC)]):
                raise _not_gzip(source, "it does not begin as gzip does")
            started = True
            try:
                chunk = member.decompress(data, CHUNK_BYTES)
            except _BROKEN as error:
                raise _not_gzip(source, str(error)) from error
            if chunk:
                yield chunk
            data = member.unused_data if member.eof else member.unconsumed_tail
    if started and not member.eof:
        raise FeedError(f"{source} ends in the middle of its gzip data: it was cut off")


def _not_gzip(source: str, why: str) -> FeedError:
    return FeedError(
        f"{source} cannot be decompressed ({why}); CompressionType Gzip is for objects that gzip "
        "wrote"
    )

r"""Bodies with `Content-Encoding: aws-chunked`: chunks, their signatures, and trailing headers.

    400;chunk-signature=<64 hex digits>\r\n
    <1,024 bytes>\r\n
    0;chunk-signature=<64 hex digits>\r\n
    x-amz-checksum-crc32:sOO8/Q==\r\n
    x-amz-trailer-signature:<64 hex digits>\r\n
    \r\n

Unsigned bodies have no `;chunk-signature`. Sources: Amazon S3 API Reference, "Signature
Calculations for the Authorization Header: Transferring Payload in Multiple Chunks" and "... Working
with trailing headers". Signatures are read over: no secret key is known here.
"""

from __future__ import annotations

import re
from typing import BinaryIO

READ_BYTES = 256 * 1024
MAX_LINE_BYTES = 16 * 1024
_CHUNK_HEADER = re.compile(rb"([0-9a-fA-F]{1,16})[ \t]*(?:;[^\r\n]*)?")


class MalformedChunks(ValueError):
    """The body is not aws-chunked, or ends before its last chunk; the text says what was read."""


class ChunkedReader:
    """Reads the payload out of an aws-chunked stream.

    `trailers` (lower-case names) is complete once `read` has returned b"".
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._buffer = b""
        self._position = 0
        # Bytes of the current chunk that were not given out yet; None behind the last chunk.
        self._left: int | None = 0
        self._first = True
        self.trailers: dict[str, str] = {}

    def read(self, size: int) -> bytes:
        """Up to `size` bytes of payload; b"" at its end. Raises MalformedChunks."""
        while self._left == 0:
            self._next_chunk()
        if self._left is None:
            return b""
        if self._position == len(self._buffer):
            self._fill()
        end = min(self._position + min(size, self._left), len(self._buffer))
        data = self._buffer[self._position : end]
        self._position = end
        self._left -= len(data)
        return data

    def _next_chunk(self) -> None:
        if not self._first and (rest := self._line()):
            raise MalformedChunks(f"a chunk is longer than it says: {rest[:32]!r} follows")
        self._first = False
        line = self._line()
        header = _CHUNK_HEADER.fullmatch(line)
        if header is None:
            raise MalformedChunks(f"no chunk header: {line[:64]!r}")
        self._left = int(header[1], 16)
        if self._left == 0:
            self._left = None
            self._read_trailers()

    def _read_trailers(self) -> None:
        """Trailers end with an empty line, or with the body: some clients leave that line out."""
        while not self._at_end() and (line := self._line()):
            name, separator, value = line.decode("latin-1").partition(":")
            if not separator:
                raise MalformedChunks(f"no trailing header: {line[:64]!r}")
            self.trailers[name.strip().lower()] = value.strip()

    def _line(self) -> bytes:
        """Up to the next line feed, without the line's end."""
        while (end := self._buffer.find(b"\n", self._position)) < 0:
            if len(self._buffer) - self._position > MAX_LINE_BYTES:
                raise MalformedChunks(f"a line is longer than {MAX_LINE_BYTES} bytes")
            self._fill()
        line = self._buffer[self._position : end]
        self._position = end + 1
        return line.removesuffix(b"\r")

    def _at_end(self) -> bool:
        if self._position < len(self._buffer):
            return False
        self._buffer, self._position = self._stream.read(READ_BYTES), 0
        return not self._buffer

    def _fill(self) -> None:
        more = self._stream.read(READ_BYTES)
        if not more:
            raise MalformedChunks("the body ends before its last chunk")
        self._buffer = self._buffer[self._position :] + more
        self._position = 0

"""A request's body as a stream that notices when the client goes away."""

from __future__ import annotations

import contextlib
import io
from typing import BinaryIO, Protocol

from sagelocal.protocol.faults import Fault

_DRAIN_BYTES = 1024 * 1024


class Readable(Protocol):
    """What WSGI promises of `wsgi.input`."""

    def read(self, size: int = ..., /) -> bytes: ...


class RequestBody(io.RawIOBase):
    """Reads `source` to its end. `length` is what Content-Length announced, None for chunks.

    A body that ends early raises S3's IncompleteBody, so that half an upload is never taken for
    a whole one.
    """

    def __init__(self, source: Readable, length: int | None) -> None:
        super().__init__()
        self._source = source
        self.length = length
        self._left = length

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        if self._left == 0:
            return b""
        try:
            data = self._source.read(-1 if size is None else size)
        except OSError as error:
            raise incomplete_body() from error
        if self._left is not None:
            if (not data and size != 0) or (_is_all(size) and len(data) < self._left):
                raise incomplete_body()
            self._left -= len(data)
        return data

    def drain(self) -> None:
        """Read what nobody has read.

        A client that has begun to send a large body sends all of it before it looks at the answer;
        to hang up on it would lose the answer, and it would try again.
        """
        with contextlib.suppress(Fault):
            while self.read(_DRAIN_BYTES):
                pass

    def readall(self) -> bytes:
        return self.read(-1)

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # any buffer
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _is_all(size: int | None) -> bool:
    return size is None or size < 0


def incomplete_body() -> Fault:
    """The answer to a body that ended before its time."""
    return Fault(
        "IncompleteBody",
        "You did not provide the number of bytes specified by the Content-Length HTTP header",
    )


def buffered(source: BinaryIO | RequestBody) -> io.BytesIO:
    """The whole body in memory, to be read more than once."""
    return io.BytesIO(source.read())

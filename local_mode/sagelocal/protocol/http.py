"""HTTP messages as values: what the gateway hands to the protocol and gets back.

No sockets here. A request's body is a readable stream, because S3 uploads may be larger than
memory; everything else is read into memory with `HttpRequest.read_body`, up to a limit.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO


class Headers(Mapping[str, str]):
    """HTTP headers by name, whatever the case; a name that came twice keeps every value in order.

    >>> Headers([("Content-Type", "text/csv")])["content-type"]
    'text/csv'
    """

    def __init__(self, items: Iterable[tuple[str, str]] | Mapping[str, str] = ()) -> None:
        pairs = items.items() if isinstance(items, Mapping) else items
        self._items: tuple[tuple[str, str], ...] = tuple((str(k), str(v)) for k, v in pairs)
        self._first: dict[str, str] = {}
        for name, value in self._items:
            self._first.setdefault(name.lower(), value)

    def __getitem__(self, name: str) -> str:
        return self._first[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._first

    def __iter__(self) -> Iterator[str]:
        return iter(self._first)

    def __len__(self) -> int:
        return len(self._first)

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Every header as it came, duplicates included."""
        return self._items


@dataclass(frozen=True)
class HttpRequest:
    """One request as it came over the wire.

    `path` and `query` are raw (percent-encoded); `content_length` is None for a chunked body.
    """

    method: str
    path: str
    query: str = ""
    headers: Headers = field(default_factory=Headers)
    body: BinaryIO = field(default_factory=io.BytesIO, repr=False)
    content_length: int | None = None

    def read_body(self, most_bytes: int) -> bytes:
        """The body; of a longer one than that, `most_bytes` + 1. Can be called once."""
        parts: list[bytes] = []
        left = most_bytes + 1
        while left and (part := self.body.read(left)):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)


@dataclass(frozen=True)
class HttpResponse:
    """One response. `body` is bytes, or chunks that are sent as they come.

    Chunks that need closing (an open file) have a `close` method, which the gateway calls.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | Iterable[bytes] = field(default=b"", repr=False)

"""Several byte sources worked on at once, and read in order, within a bounded number of bytes.

    source 0  ──▶ chunks held ──▶ ┐
    source 1  ──▶ chunks held     ├──▶ chunks of source 0, then of source 1, ...
    source 2  ...                 ┘

Worth its while for sources that take a processor and let go of the interpreter meanwhile, such as
gzip: while the pipe is written, the next objects are unzipped.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator


class _Part:
    """What is held of one source."""

    def __init__(self, source: Iterable[bytes]) -> None:
        self.source = source
        self.chunks: deque[bytes] = deque()
        self.done = False
        self.error: BaseException | None = None


class Ahead:
    """The chunks of all sources in order, made by `workers` threads.

    At most `limit_bytes` are held, and one chunk more if the first source has none there. A context
    manager: leaving it lets the threads end at their next chunk. What a source raises is raised in
    its place among the chunks.
    """

    def __init__(self, sources: Iterable[Iterable[bytes]], workers: int, limit_bytes: int) -> None:
        self._sources = iter(sources)
        self._limit = limit_bytes
        # Small sources are not begun by the thousand, whatever their bytes.
        self._most_parts = 2 * workers
        self._parts: deque[_Part] = deque()
        self._held = 0
        self._exhausted = False
        self._closed = False
        self._changed = threading.Condition()
        self._workers = workers

    def __enter__(self) -> Ahead:
        for _ in range(self._workers):
            threading.Thread(target=self._work, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[bytes]:
        while (part := self._first()) is not None:
            while (chunk := self._take(part)) is not None:
                yield chunk
            if part.error is not None:
                raise part.error
            with self._changed:
                self._parts.popleft()
                self._changed.notify_all()

    def _first(self) -> _Part | None:
        with self._changed:
            self._changed.wait_for(lambda: self._parts or self._exhausted)
            return self._parts[0] if self._parts else None

    def _take(self, part: _Part) -> bytes | None:
        """Its next chunk, None at its end."""
        with self._changed:
            self._changed.wait_for(lambda: part.chunks or part.done)
            if not part.chunks:
                return None
            chunk = part.chunks.popleft()
            self._held -= len(chunk)
            self._changed.notify_all()
            return chunk

    def _work(self) -> None:
        while (part := self._begin()) is not None:
            try:
                for chunk in part.source:
                    if not self._put(part, chunk):
                        return
            except BaseException as error:
                part.error = error
            with self._changed:
                part.done = True
                self._changed.notify_all()

    def _begin(self) -> _Part | None:
        """The next source's part, in its place; None when there is none, or nobody wants it."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._parts) < self._most_parts)
            source = None if self._closed else next(self._sources, None)
            if source is None:
                self._exhausted = True
                self._changed.notify_all()
                return None
            part = _Part(source)
            self._parts.append(part)
            self._changed.notify_all()
            return part

    def _put(self, part: _Part, chunk: bytes) -> bool:
        """Whether anybody still wants it. The first part always has room for one chunk."""

        def has_room() -> bool:
            first = part is self._parts[0] and not part.chunks
            return self._closed or first or self._held + len(chunk) <= self._limit

        with self._changed:
            self._changed.wait_for(has_room)
            part.chunks.append(chunk)
            self._held += len(chunk)
            self._changed.notify_all()
            return not self._closed

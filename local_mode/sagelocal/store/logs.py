"""Log files, named like CloudWatch's log groups and streams, that are read while they are written.

    logs/%2Faws%2Fsagemaker%2FTrainingJobs/my-job%2Falgo-1-1700000000.log
    1700000000123<TAB>text of one line<NEWLINE>

A file is written by whatever runs the container, which lives on when the plane is killed; a line
without its newline is one that is still being written, and is not there yet. Times never decrease
within a file, which is what makes a position in it, a byte offset, as good as a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, unquote

_SUFFIX = ".log"
# What one answer of CloudWatch Logs holds at most (GetLogEvents): 1 MB or 10,000 events.
MAX_BYTES = 1024 * 1024
MAX_EVENTS = 10_000
_BLOCK = 64 * 1024
_LONGEST_FILE_NAME = 255


class NoSuchLog(Exception):
    """There is no log group, or no stream in it, of that name."""


@dataclass(frozen=True)
class LogEvent:
    """One line. `timestamp` is milliseconds since 1970."""

    timestamp: int
    text: str


@dataclass(frozen=True)
class LogPage:
    """Some consecutive events of a stream, and the offsets before the first and after the last."""

    events: Sequence[LogEvent]
    start: int
    end: int


@dataclass(frozen=True)
class LogStream:
    """One stream. Times are milliseconds since 1970; None while it has no line."""

    name: str
    created_at: int
    first_event_at: int | None
    last_event_at: int | None
    size_bytes: int


class LogStore:
    """Every log below a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, group: str, stream: str) -> Path:
        """The file of a stream; its folder is there, the file perhaps not yet."""
        path = self._file(group, stream)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def append(self, group: str, stream: str, events: Iterable[LogEvent]) -> None:
        """Write lines of our own, whole or not at all. A newline within a text becomes a space."""
        lines = "".join(
            f"{event.timestamp}\t{' '.join(event.text.splitlines())}\n" for event in events
        )
        with self.path(group, stream).open("ab") as file:
            file.write(lines.encode())

    def groups(self, prefix: str = "") -> Sequence[str]:
        """The names of the groups, in order."""
        if not self._root.is_dir():
            return ()
        names = (unquote(folder.name) for folder in self._root.iterdir())
        return sorted(name for name in names if name.startswith(prefix))

    def group_size(self, group: str) -> tuple[int, int]:
        """When the group was made (ms since 1970) and how many bytes its streams hold."""
        folder = self._folder(group)
        sizes = (entry.stat().st_size for entry in os.scandir(folder))
        return int(folder.stat().st_ctime * 1000), sum(sizes)

    def streams(self, group: str, prefix: str = "") -> Sequence[LogStream]:
        """The streams of a group, by name. Raises NoSuchLog if there is no such group."""
        try:
            files = list(self._folder(group).iterdir())
        except FileNotFoundError as error:
            raise NoSuchLog(group) from error
        names = sorted(unquote(file.name.removesuffix(_SUFFIX)) for file in files)
        return [self._describe(group, name) for name in names if name.startswith(prefix)]

    def delete(self, group: str, stream: str) -> None:
        """Raises NoSuchLog."""
        try:
            self._file(group, stream).unlink()
        except FileNotFoundError as error:
            raise NoSuchLog(f"{group} {stream}") from error

    def offset_of(self, group: str, stream: str, time_ms: int) -> int:
        """The offset of the first event at or after a time. Raises NoSuchLog."""
        with self._open(group, stream) as file:
            # All lines before `low` are too early; what begins at `high` is late enough.
            low, high = 0, _size(file)
            while low < high:
                start = _line_start(file, (low + high) // 2)
                line = _complete_line(file, start)
                if line is None or _timestamp(line) >= time_ms:
                    high = start
                else:
                    low = start + len(line)
            return low

    def forwards(
        self,
        group: str,
        stream: str,
        offset: int = 0,
        *,
        limit: int = MAX_EVENTS,
        before_ms: int | None = None,
    ) -> LogPage:
        """Up to `limit` events from an offset on, those before a time. Raises NoSuchLog."""
        events: list[LogEvent] = []
        end = offset
        with self._open(group, stream) as file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n") or len(events) >= limit:
                    break
                if events and end - offset + len(line) > MAX_BYTES:
                    break
                event = _event(line)
                if before_ms is not None and event.timestamp >= before_ms:
                    break
                events.append(event)
                end += len(line)
        return LogPage(events, offset, end)

    def backwards(
        self,
        group: str,
        stream: str,
        offset: int | None = None,
        *,
        limit: int = MAX_EVENTS,
        since_ms: int | None = None,
    ) -> LogPage:
        """Up to `limit` events that end at an offset (or at the end of the log), oldest first.

        Those at or after a time. Raises NoSuchLog.
        """
        with self._open(group, stream) as file:
            end = _size(file) if offset is None else min(offset, _size(file))
            lines: list[bytes] = []
            start = end
            for line in _lines_backwards(file, end):
                if not line.endswith(b"\n"):
                    start = end = end - len(line)
                    continue
                if len(lines) >= limit or (lines and end - start + len(line) > MAX_BYTES):
                    break
                if since_ms is not None and _timestamp(line) < since_ms:
                    break
                lines.append(line)
                start -= len(line)
        return LogPage([_event(line) for line in reversed(lines)], start, end)

    def lines(self, group: str, stream: str) -> Iterator[LogEvent]:
        """Every event of a stream, however long it is; none if the stream is not there."""
        return lines_of(self._file(group, stream))

    def _describe(self, group: str, stream: str) -> LogStream:
        path = self._file(group, stream)
        first = self.forwards(group, stream, limit=1).events
        last = self.backwards(group, stream, limit=1).events
        state = path.stat()
        created = first[0].timestamp if first else int(state.st_ctime * 1000)
        return LogStream(
            stream,
            created,
            first[0].timestamp if first else None,
            last[0].timestamp if last else None,
            state.st_size,
        )

    def _open(self, group: str, stream: str) -> BinaryIO:
        try:
            return self._file(group, stream).open("rb")
        except FileNotFoundError as error:
            raise NoSuchLog(f"{group} {stream}") from error

    def _folder(self, group: str) -> Path:
        return self._root / _file_name(group)

    def _file(self, group: str, stream: str) -> Path:
        return self._folder(group) / _file_name(stream, _SUFFIX)


def lines_of(path: Path) -> Iterator[LogEvent]:
    """Every event of a stream's file; none if it is not there."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            yield _event(line.rstrip(b"\n") + b"\n")


def _file_name(name: str, suffix: str = "") -> str:
    """Raises NoSuchLog for a name that is too long to be that of a file."""
    quoted = quote(name, safe="")
    if not quoted.strip("."):
        # `.` and `..` would be folders of the file system.
        quoted = quoted.replace(".", "%2E")
    if len(quoted) + len(suffix) > _LONGEST_FILE_NAME:
        raise NoSuchLog(f"{name} (longer than a file name may be)")
    return quoted + suffix


def _event(line: bytes) -> LogEvent:
    stamp, _, text = line[:-1].partition(b"\t")
    if stamp.isdigit():
        return LogEvent(int(stamp), text.decode("utf-8", "replace"))
    # A line that somebody else left behind, perhaps torn: still worth showing.
    return LogEvent(0, line[:-1].decode("utf-8", "replace"))


def _timestamp(line: bytes) -> int:
    stamp = line.partition(b"\t")[0]
    return int(stamp) if stamp.isdigit() else 0


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _line_start(file: BinaryIO, offset: int) -> int:
    """Where the line begins that holds the byte at `offset`."""
    end = offset
    while end > 0:
        begin = max(0, end - _BLOCK)
        file.seek(begin)
        newline = file.read(end - begin).rfind(b"\n")
        if newline >= 0:
            return begin + newline + 1
        end = begin
    return 0


def _complete_line(file: BinaryIO, start: int) -> bytes | None:
    file.seek(start)
    line = file.readline()
    return line if line.endswith(b"\n") else None


def _lines_backwards(file: BinaryIO, end: int) -> Iterator[bytes]:
    """The lines before an offset, last first; the very last may lack its newline."""
    rest = b""
    while end > 0:
        begin = max(0, end - _BLOCK)
        file.seek(begin)
        rest = file.read(end - begin) + rest
        lines = _split(rest)
        # The first of them may begin before this block.
        rest = lines[0]
        yield from reversed(lines[1:])
        end = begin
    if rest:
        yield rest


def _split(data: bytes) -> list[bytes]:
    """Lines with their newlines; bytes.splitlines would also split at a carriage return."""
    lines = [line + b"\n" for line in data.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]

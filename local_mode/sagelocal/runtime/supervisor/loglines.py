"""Bytes of a container's output -> lines of its log file: `<unix time in ms>\\t<text>\\n`.

A line is written when its end arrives, without further buffering, so that it is there even if
everything is killed the next moment. Text that is not UTF-8 is written with U+FFFD in the place of
the bytes that are not. A line longer than an event of CloudWatch Logs may be (256 KiB, "CloudWatch
Logs quotas") becomes several.
"""

from __future__ import annotations

import os
import time

MAX_LINE_BYTES = 256 * 1024


def format_lines(lines: list[bytes], now_ms: int) -> bytes:
    """The log file's bytes for lines that came at one moment, given without their line ends."""
    stamp = b"%d\t" % now_ms
    return b"".join(
        stamp + _text(line[start : start + MAX_LINE_BYTES]) + b"\n"
        for line in lines
        for start in range(0, max(len(line), 1), MAX_LINE_BYTES)
    )


def _text(line: bytes) -> bytes:
    line = line.removesuffix(b"\r")
    try:
        line.decode()
    except UnicodeDecodeError:
        return line.decode(errors="replace").encode()
    return line


class LogFile:
    """Appends a stream of bytes, cut into lines, to a log file."""

    def __init__(self, path: str) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o644)
        self._partial = b""
        self.fault: str | None = None

    def feed(self, data: bytes) -> None:
        """Take what was read from the pipe; whole lines are in the file when this returns."""
        lines = (self._partial + data).split(b"\n")
        self._partial = lines.pop()
        while len(self._partial) > MAX_LINE_BYTES:
            lines.append(self._partial[:MAX_LINE_BYTES])
            self._partial = self._partial[MAX_LINE_BYTES:]
        if lines:
            self._write(lines)

    def line(self, text: str) -> None:
        """A line of the runtime's own."""
        self._write([text.encode()])

    def close(self) -> None:
        """Write what came without a line end."""
        if self._partial:
            self._write([self._partial])
        os.close(self._file)

    def _write(self, lines: list[bytes]) -> None:
        left = memoryview(format_lines(lines, time.time_ns() // 1_000_000))
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            # A full disk must not block the container on its output: Docker drops lines, too.
            self.fault = f"log lines were lost: {error}"

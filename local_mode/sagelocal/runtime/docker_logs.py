"""Follow a container's output at the Docker engine into its log file, across restarts of the plane.

The engine keeps everything (`json-file`, without rotation), so the file can always be written
again. Beside it, a position file says how many of the engine's frames are in the log file and how
long the file was then. The next plane cuts the file to that length and goes on after that many
frames: nothing is lost or doubled, wherever the last plane was killed.

The stream is a sequence of frames: a byte for stdout (1) or stderr (2), three zeros, the length in
four big-endian bytes, then `<RFC 3339 time> <text>`; a text without a line end goes on in the next
frame of its stream (Docker Engine API, "ContainerAttach", and the `timestamps` of "ContainerLogs").
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import logging
import os
import struct
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import requests
from docker import APIClient
from docker.errors import APIError, NotFound
from urllib3.exceptions import HTTPError

from sagelocal.runtime.supervisor.loglines import MAX_LINE_BYTES, format_lines

_log = logging.getLogger(__name__)
_HEADER = struct.Struct(">BxxxL")
_ENDED = ("exited", "dead")
_STREAM_FAULTS = (
    *(APIError, requests.RequestException, HTTPError),
    *(http.client.HTTPException, ConnectionError),
)
_SETTLE_SECONDS = 2.0
_RETRY_SECONDS = 0.5


class Position:
    """How far a log file has been written; survives the plane."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self, log_path: Path) -> None:
        """Before the container's first frame: what the log file holds already stays."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        log_path.parent.mkdir(parents=True, exist_ok=True)
        log_path.touch()
        self._path.write_text(self._record(0, log_path.stat().st_size), encoding="ascii")

    def read(self) -> tuple[int, int]:
        """Frames and bytes that are in the log file."""
        try:
            frames, size = self._path.read_text(encoding="ascii").split()
        except (FileNotFoundError, ValueError):
            return 0, 0
        return int(frames), int(size)

    def forget(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def writer(self) -> Iterator[PositionWriter]:
        """Open for updates."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            yield PositionWriter(descriptor)
        finally:
            os.close(descriptor)

    @staticmethod
    def _record(frames: int, size: int) -> str:
        return f"{frames:20d} {size:20d}\n"


class PositionWriter:
    """Replaces the record by one write of fixed length, which no kill of the plane can cut."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def put(self, frames: int, size: int) -> None:
        """So much is in the log file now."""
        os.pwrite(self._descriptor, f"{frames:20d} {size:20d}\n".encode("ascii"), 0)


class LogFollower:
    """A thread that writes one container's log until the container has ended."""

    def __init__(self, api: APIClient, container: str, log_path: Path, position: Position) -> None:
        self._api = api
        self._container = container
        self._log_path = log_path
        self._position = position
        self._ended = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"log of {container[:12]}", daemon=True
        )
        self._thread.start()

    def wait(self, timeout_seconds: float | None) -> bool:
        """Whether the container has ended and its log is complete."""
        return self._ended.wait(timeout_seconds)

    @property
    def has_ended(self) -> bool:
        """Whether `wait` would return True at once."""
        return self._ended.is_set()

    def close(self) -> None:
        """Do not come back after the stream breaks; the plane is going."""
        self._closing.set()

    def _run(self) -> None:
        """The thread. Whatever befalls the log, whoever waits learns of the container's end."""
        step = self._write_whole_log
        while not self._closing.is_set():
            try:
                if step():
                    self._ended.set()
                    return
            except NotFound:
                self._ended.set()
                return
            except _STREAM_FAULTS as error:
                if not self._closing.is_set():
                    _log.warning("%s: its log is read again: %s", self._container[:12], error)
            except Exception:
                _log.exception("%s: its log is incomplete", self._container[:12])
                step = self._settled
            self._closing.wait(_RETRY_SECONDS)

    def _write_whole_log(self) -> bool:
        """Whether the container has ended and all that the engine kept is in the file."""
        self._write_log(follow=True)
        if not self._settled():
            return False
        # The engine may end the stream a line early (seen with 20.10), but keeps all.
        self._write_log(follow=False)
        return True

    def _settled(self) -> bool:
        """Whether the container has ended; its stream ends a moment before its state says so."""
        deadline = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < deadline:
            if self._api.inspect_container(self._container)["State"]["Status"] in _ENDED:
                return True
            time.sleep(0.005)
        return False

    def _write_log(self, follow: bool) -> None:
        """Write what is not in the file yet: to the container's end, or what there is by now."""
        frames, size = self._position.read()
        with self._log_path.open("ab") as log, self._position.writer() as position:
            if log.tell() < size:
                frames, size = 0, 0
            log.truncate(size)
            lines = _LineBuilder()
            for number, (stream, payload) in enumerate(self._frames(follow), start=1):
                if number <= frames:
                    continue
                written = lines.add(stream, payload)
                if written:
                    log.write(written)
                    log.flush()
                    size += len(written)
                if not lines.has_partial:
                    position.put(number, size)
            rest = lines.rest()
            log.write(rest)

    def _frames(self, follow: bool) -> Iterator[tuple[int, bytes]]:
        url = f"{self._api.base_url}/v{self._api.api_version}/containers/{self._container}/logs"
        wanted = {"follow": int(follow), "stdout": 1, "stderr": 1, "timestamps": 1}
        with self._api.get(url, params=wanted, stream=True) as response:
            if response.status_code == requests.codes.not_found:
                raise NotFound("no such container", response)
            response.raise_for_status()
            # A buffer would wait until it is full, which a stream that is followed seldom does.
            response.raw.auto_close = False
            source = response.raw if follow else io.BufferedReader(response.raw, 1 << 18)
            while len(header := source.read(_HEADER.size)) == _HEADER.size:
                stream, length = _HEADER.unpack(header)
                yield stream, source.read(length)


class _LineBuilder:
    """Frames -> lines of the log file; the frames of two streams may be mixed."""

    def __init__(self) -> None:
        self._partial: dict[int, tuple[int, bytes]] = {}

    @property
    def has_partial(self) -> bool:
        return bool(self._partial)

    def add(self, stream: int, payload: bytes) -> bytes:
        """What the log file gets for the frame; empty while its line has not ended."""
        stamp, _, text = payload.partition(b" ")
        at_ms, earlier = self._partial.pop(stream, (0, b""))
        at_ms = at_ms or _milliseconds(stamp)
        text = earlier + text
        if text.endswith(b"\n"):
            return format_lines([text[:-1]], at_ms)
        written = b""
        while len(text) > MAX_LINE_BYTES:
            written += format_lines([text[:MAX_LINE_BYTES]], at_ms)
            text = text[MAX_LINE_BYTES:]
        if text:
            self._partial[stream] = at_ms, text
        return written

    def rest(self) -> bytes:
        """Lines that never got an end."""
        return b"".join(format_lines([text], at_ms) for at_ms, text in self._partial.values())


def _milliseconds(stamp: bytes) -> int:
    """`2026-11-21T05:30:00.123456789Z` -> Unix time in ms."""
    return _seconds(stamp[:19]) * 1000 + int(stamp[20:23])


@functools.lru_cache(maxsize=64)
def _seconds(stamp: bytes) -> int:
    return int(datetime.fromisoformat(stamp.decode("ascii")).replace(tzinfo=UTC).timestamp())

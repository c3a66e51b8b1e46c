"""Run the user's code in a process of its own: output passed through, SIGTERM passed on.

Standard output is the container's own. Standard error goes through a pipe, byte for byte and at
once, so that its last part can be shown as the reason of a failure. A launcher whose lines are to
be rewritten has pipes for both, and whole lines go through them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, TextIO

_READ_BYTES = 1 << 16
_KEPT_BYTES = 1 << 16
_DRAIN_SECONDS = 2.0
"""How long output is awaited after the end, in case a grandchild holds the pipe open."""


class Stopped(SystemExit):
    """The job is being stopped, which is no failure; `code` is the exit code to end with."""


@dataclass(frozen=True)
class Ended:
    """How a command ended. `exit_code` is 128 + N for signal N, as a shell has it.

    `stopped` says that this process was asked to stop (SIGTERM or SIGINT) meanwhile.
    """

    exit_code: int
    standard_error: str
    stopped: bool = False

    @property
    def signal(self) -> signal.Signals | None:
        """The signal that ended the command, None if it ended by itself."""
        try:
            return signal.Signals(self.exit_code - 128)
        except ValueError:
            return None


def run(
    command: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    rewrite: Callable[[bytes], bytes] | None = None,
) -> Ended:
    """Run `command` to its end; raises OSError when it cannot be started.

    `rewrite` changes what the command writes: it gets any number of whole lines.
    """
    relay = _SignalRelay()
    with relay.installed():
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdout=None if rewrite is None else subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        relay.attach(process)
        assert process.stderr is not None
        tail = _Tail(process.stderr, sys.stderr, rewrite)
        output = _Tail(process.stdout, sys.stdout, rewrite) if process.stdout else None
        process.wait()
        standard_error = tail.finish()
        if output:
            output.finish()
    code = process.returncode
    return Ended(128 - code if code < 0 else code, standard_error, relay.received)


class _SignalRelay:
    """Passes SIGTERM and SIGINT on to the child, also one that comes before there is a child."""

    def __init__(self) -> None:
        self.received = False
        self._pending: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handle the signals within the block. Python allows it in the main thread only."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, self._handle)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def attach(self, process: subprocess.Popen[bytes]) -> None:
        """Send what came so far, and from now on send at once."""
        self._process = process
        while self._pending:
            process.send_signal(self._pending.pop(0))

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.received = True
        if self._process is None:
            self._pending.append(number)
        else:
            self._process.send_signal(number)


class _Tail:
    """Copies a pipe to one of our own streams in a thread and keeps its last part."""

    def __init__(
        self, source: IO[bytes], target: TextIO, rewrite: Callable[[bytes], bytes] | None
    ) -> None:
        self._source = source
        self._target = target
        self._rewrite = rewrite
        self._kept = bytearray()
        self._thread = threading.Thread(target=self._copy, name="output", daemon=True)
        self._thread.start()

    def finish(self) -> str:
        """What was kept, once the pipe has ended or has been given time to."""
        self._thread.join(_DRAIN_SECONDS)
        if not self._thread.is_alive():
            self._source.close()
        return bytes(self._kept).decode("utf-8", errors="replace")

    def _copy(self) -> None:
        for data in self._pieces():
            self._kept += data
            del self._kept[:-_KEPT_BYTES]
            with suppress(OSError):
                _write_all(self._target.fileno(), data)

    def _pieces(self) -> Iterator[bytes]:
        descriptor = self._source.fileno()
        begun = b""
        while data := os.read(descriptor, _READ_BYTES):
            if self._rewrite is None:
                yield data
                continue
            lines, end, begun = (begun + data).rpartition(b"\n")
            if end:
                yield self._rewrite(lines + end)
        if self._rewrite and begun:
            yield self._rewrite(begun)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]

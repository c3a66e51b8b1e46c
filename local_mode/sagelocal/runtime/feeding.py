"""The process that fills a host's pipes: started before its container, and as long as the job is.

It outlives the plane as the container does; what leads back to it is its folder, so the next plane
finds it again. `start` wants a plan there (see `sagelocal.engine.pipes`).
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import sagelocal
from sagelocal.runtime.interface import RuntimeFault
from sagelocal.runtime.supervisor import proc

PLAN = "plan.json"
LOST = "the process that fills the job's pipes was lost"
_BOOTSTRAP = (
    "import sys; sys.path += sys.argv[2:]; "
    "from sagelocal.runtime.feeder.main import main; main(sys.argv[1])"
)
_KILL_SECONDS = 5.0


def is_planned(folder: Path) -> bool:
    """Whether there are pipes to fill at all."""
    return (folder / PLAN).exists()


def start(folder: Path) -> None:
    """Start the feeder and wait until the first epoch's pipes are there. Raises RuntimeFault."""
    errors = folder / "feeder.errors"
    with errors.open("wb") as error_file:
        feeder = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _BOOTSTRAP, str(folder.resolve()), *_import_roots()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=error_file,
            cwd="/",
            start_new_session=True,
        )
    assert feeder.stdout is not None
    with feeder.stdout:
        word, _, reason = feeder.stdout.read().decode(errors="replace").partition(" ")
    feeder.wait()
    if word != "started":
        reason = reason or errors.read_text(errors="replace").strip() or "it was killed"
        raise RuntimeFault(f"The pipes of the job's channels cannot be filled: {reason}")


def failure(folder: Path) -> str | None:
    """Why a pipe could not be filled to its end; None as long as all goes well.

    Told before a reader can see the end of that pipe.
    """
    with contextlib.suppress(FileNotFoundError):
        return (folder / "failure").read_text(encoding="utf-8")
    return None if _is_alive(_identity(folder)) else LOST


def wait(folder: Path) -> None:
    """Until the feeder has ended."""
    _wait(_identity(folder), None)


def stop(folder: Path) -> None:
    """End the feeder; harmless if there is none."""
    identity = _identity(folder)
    if not identity or not _is_alive(identity):
        return
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(identity["pid"])
        try:
            if _is_alive(identity):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        finally:
            os.close(descriptor)
    _wait(identity, _KILL_SECONDS)


def _identity(folder: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((folder / "feeder.json").read_bytes())
    except FileNotFoundError:
        return None
    return found


def _is_alive(identity: dict[str, Any] | None) -> bool:
    return identity is not None and proc.is_alive(
        identity["pid"], identity["started"], identity["boot"]
    )


def _wait(identity: dict[str, Any] | None, timeout_seconds: float | None) -> None:
    if identity is None:
        return
    try:
        descriptor = os.pidfd_open(identity["pid"])
    except ProcessLookupError:
        return
    try:
        if _is_alive(identity):
            ended = select.poll()
            ended.register(descriptor, select.POLLIN)
            ended.poll(None if timeout_seconds is None else timeout_seconds * 1000)
    finally:
        os.close(descriptor)


def _import_roots() -> list[str]:
    """The folders that hold the package `sagelocal`, and `isal` where it is installed."""
    roots = [Path(sagelocal.__path__[0]).parent]
    fast = importlib.util.find_spec("isal")
    if fast is not None and fast.origin is not None:
        roots.append(Path(fast.origin).parent.parent)
    return [str(root) for root in roots]

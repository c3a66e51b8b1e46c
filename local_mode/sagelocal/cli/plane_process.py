"""The control plane as a process of this machine: start it, find it, end it.

A running plane is described by `plane.json` in its data directory. The file may outlive its plane
(kill -9), so what it says is believed only if the plane answers its health check.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

HEALTH_PATH = "/_sagelocal/health"
STATE_FILE = "plane.json"
LOG_FILE = "plane.log"
HEALTH_TIMEOUT_SECONDS = 2.0


class PlaneError(Exception):
    """What could not be done with the plane; the text is for the user, with the next step."""


@dataclass(frozen=True)
class RunningPlane:
    """A plane that answered just now."""

    url: str
    pid: int
    health: dict[str, Any]


def default_data_dir() -> Path:
    """`$SAGELOCAL_DATA`, else `sagelocal` in the user's data folder (XDG base directories)."""
    if chosen := os.environ.get("SAGELOCAL_DATA"):
        return Path(chosen)
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "sagelocal"


def kept_packages() -> Path | None:
    """Where a command without a plane keeps what requirements.txt brings: with the plane's.

    None where this user may not write there.
    """
    folder = default_data_dir() / "packages"
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def find(data_dir: Path) -> RunningPlane | None:
    """The plane of this data directory, if it answers."""
    try:
        state = json.loads((data_dir / STATE_FILE).read_text())
        url, pid = str(state["url"]), int(state["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    health = _health(url)
    return RunningPlane(url, pid, health) if health and health.get("pid") == pid else None


def require(data_dir: Path) -> RunningPlane:
    """The plane of this data directory. Raises PlaneError if it does not answer."""
    plane = find(data_dir)
    if plane is None:
        raise PlaneError(f"no control plane answers for {data_dir}; start it with `sagelocal up`")
    return plane


def remember(data_dir: Path, url: str) -> None:
    """Say in `plane.json` that this very process is the plane of the data directory."""
    temporary = data_dir / f"{STATE_FILE}.{os.getpid()}"
    temporary.write_text(json.dumps({"url": url, "pid": os.getpid()}))
    temporary.replace(data_dir / STATE_FILE)


def foreground_command(arguments: Sequence[str]) -> list[str]:
    """The command line of a plane in the foreground."""
    return [sys.executable, "-m", "sagelocal.cli.foreground", *arguments]


def start(arguments: Sequence[str], data_dir: Path, timeout_seconds: float = 30.0) -> RunningPlane:
    """Start a plane with these arguments in the background; return when it answers.

    Raises PlaneError with the plane's own words if it ends or does not answer in time.
    """
    log_path = data_dir / LOG_FILE
    with _open_log(log_path) as log:
        begin = log.tell()
        process = subprocess.Popen(
            foreground_command(arguments),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise PlaneError(_tail(log_path, begin) or f"the plane ended; see {log_path}")
        plane = find(data_dir)
        if plane is not None and plane.pid == process.pid:
            return plane
        time.sleep(0.02)
    process.terminate()
    raise PlaneError(f"the plane did not answer within {timeout_seconds:.0f} s; see {log_path}")


def _open_log(path: Path) -> BinaryIO:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path.open("ab")
    except OSError as error:
        raise PlaneError(
            f"cannot write to the data directory {path.parent}: {error.strerror}; "
            "choose another one with --data"
        ) from error


def stop(plane: RunningPlane, timeout_seconds: float = 15.0) -> None:
    """End the plane and wait for it; its containers go on. Raises PlaneError if it will not end."""
    try:
        os.kill(plane.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if _ended(plane.pid):
            return
        time.sleep(0.02)
    raise PlaneError(f"the plane (process {plane.pid}) did not end within {timeout_seconds:.0f} s")


def _health(url: str) -> dict[str, Any] | None:
    """What the plane at `url` says of itself; None if nothing sensible answers there."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=HEALTH_TIMEOUT_SECONDS)
    try:
        connection.request("GET", HEALTH_PATH)
        answer = connection.getresponse()
        document = json.loads(answer.read()) if answer.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return document if isinstance(document, dict) else None


def _ended(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return not _alive(pid)
    return state == "Z"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _tail(path: Path, begin: int) -> str:
    with path.open("rb") as log:
        log.seek(begin)
        lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""

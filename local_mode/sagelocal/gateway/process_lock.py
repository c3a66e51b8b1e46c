"""One living plane per data directory.

The lock is held by the kernel for as long as a process of the plane lives, so nothing has to be
cleaned up after kill -9; the file also says which process that is, for the message.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

LOCK_FILE = "plane.lock"

# A killed plane's worker dies a moment after it; the lock and the port are free then.
TAKEOVER_SECONDS = 2.0
_POLL_SECONDS = 0.01


class AlreadyRunning(Exception):
    """A living plane has the data directory; the text says which."""


class ProcessLock:
    """Take the lock of a data directory. Raises AlreadyRunning, or OSError if it is unwritable."""

    def __init__(self, data_dir: Path) -> None:
        # What lies in it is the user's own: data, models, environments of jobs.
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(data_dir / LOCK_FILE, flags, 0o600)
        try:
            self._take(data_dir)
        except BaseException:
            self.release()
            raise

    def _take(self, data_dir: Path) -> None:
        deadline = time.monotonic() + TAKEOVER_SECONDS
        while not self._try():
            holder = os.pread(self._descriptor, 32, 0).decode().strip()
            if is_alive(holder) or time.monotonic() > deadline:
                raise AlreadyRunning(
                    f"process {holder or '?'} is already serving the data directory {data_dir}; "
                    "stop it with `sagelocal down`, or choose another one with --data"
                )
            time.sleep(_POLL_SECONDS)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def _try(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Let go of it in this process; children that inherited it hold it on."""
        os.close(self._descriptor)


def is_alive(pid: str) -> bool:
    """Whether that process runs; one that has ended and is only waited for does not."""
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")

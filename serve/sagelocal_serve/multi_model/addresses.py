"""Where the processes of one server find one another: sockets in a folder of their own."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

_SHARED_MEMORY = "/dev/shm"
_PREFIX = "models-"
_LOCK = "lock"
_DIGITS = 40


def make_folder() -> Path:
    """A new folder that only this user reads, in memory where that can be: roots are read-only.

    It is known to be in use as long as a process lives that this one forks. What servers that were
    killed have left is removed.
    """
    place = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else tempfile.gettempdir()
    for left in Path(place).glob(f"{_PREFIX}*/{_LOCK}"):
        _remove_if_unused(left)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    # It gets its name when it is locked, so that no other server takes it for a leftover.
    unnamed = folder / f".{_LOCK}"
    fcntl.flock(os.open(unnamed, os.O_CREAT | os.O_RDWR, 0o600), fcntl.LOCK_EX)
    unnamed.rename(folder / _LOCK)
    return folder


def control_address(folder: Path) -> Path:
    """The keeper's."""
    return folder / "keeper"


def model_address(folder: Path, name: str) -> Path:
    """A model's, which any name can have: paths of sockets end at 107 bytes (unix(7))."""
    return folder / _digest(name)


def packages_folder(folder: Path, name: str) -> Path:
    """Where a model's own packages go, on disk if there is one; made when there are any."""
    try:
        disk = Path(tempfile.gettempdir())
    except FileNotFoundError:
        disk = folder
    return disk / f"{folder.name}-{_digest(name)}"


def _remove_if_unused(lock: Path) -> None:
    # Another user's, in use, or gone meanwhile: none of these is ours to remove.
    with contextlib.suppress(OSError), lock.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(lock.parent, ignore_errors=True)


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]

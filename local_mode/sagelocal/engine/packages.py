"""What users' requirements.txt brought, kept for later containers at /opt/ml/.packages.

The containers install (`sagelocal_requirements`, in containers/requirements): in the cloud there is
no such folder, and they install each time. All containers of a plane share it, `packages_folder` of
its settings, so it is writable for any user that an image has; the data directory around it is this
user's alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

from sagelocal.runtime.interface import Mount

TARGET = "/opt/ml/.packages"
UNUSED_DAYS = 14
# What an installation that was killed leaves behind; none takes that long.
_UNFINISHED = ".new-"
_UNFINISHED_DAYS = 1
_DAY_SECONDS = 86_400


def packages_mounts(folder: Path, *, network_isolation: bool = False) -> tuple[Mount, ...]:
    """The folder, made if it is not there; nothing for a container that installs nothing.

    In the cloud requirements.txt fails under network isolation, so it must fail here, too.
    """
    if network_isolation:
        return ()
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)
    return (Mount(folder, TARGET),)


def sweep_packages(packages: Path, now: float | None = None) -> None:
    """Delete what no container has used for two weeks and none uses now."""
    now = time.time() if now is None else now
    for folder in packages.glob("*"):
        days = _UNFINISHED_DAYS if folder.name.startswith(_UNFINISHED) else UNUSED_DAYS
        with contextlib.suppress(OSError):
            if folder.is_dir() and folder.stat().st_mtime < now - days * _DAY_SECONDS:
                _remove_if_unused(folder)


def _remove_if_unused(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # It disappears whole: what is half there must not be taken for all of it. An earlier try
        # may have left some of it, of files that this user cannot delete.
        doomed = folder
        if not folder.name.startswith(_UNFINISHED):
            doomed = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder.parent))
            folder.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
        folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)
    finally:
        os.close(descriptor)

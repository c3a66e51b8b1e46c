"""Whether this machine can show a folder that a container may change while the folder stays as is.

An overlay mount does that without copying: https://docs.kernel.org/filesystems/overlayfs.html. It
needs a file system that can hold its layers (ext4, XFS, btrfs; no other overlay), and root or
unprivileged user namespaces (Linux 5.11). It is tried for real, once for each file system.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import sagelocal

_TRY = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from sagelocal.runtime.supervisor import mounts, namespaces; "
    "namespaces.enter(None, False, []); mounts.try_overlay(sys.argv[2])"
)


_tried: dict[int, bool] = {}


def overlays_work(folder: Path) -> bool:
    """Whether overlay mounts with their layers below `folder` (or its first parent) work here."""
    while not folder.is_dir():
        folder = folder.parent
    device = folder.stat().st_dev
    if device not in _tried:
        _tried[device] = _try_in(folder)
    return _tried[device]


def _try_in(folder: Path) -> bool:
    """In a process of its own: the mount is to be seen by nobody, and to end with it."""
    with tempfile.TemporaryDirectory(prefix=".overlay-", dir=folder) as scratch:
        root = str(Path(sagelocal.__path__[0]).parent)
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _TRY, root, scratch], capture_output=True
        )
        # The kernel closes its own folder to everybody but root.
        for closed in Path(scratch).glob("scratch/work/work"):
            closed.chmod(0o700)
    return done.returncode == 0

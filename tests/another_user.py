"""Run a command as a user without rights: `python another_user.py FOLDER COMMAND...`, in FOLDER.

Started by root, it becomes `nobody` of the group that may speak to Docker, and HOME and the working
directory are FOLDER, which becomes theirs. The Python that runs this stays readable, whosever
folder it lies in. Started by anybody else, it just runs the command: then the tests are not root's
anyway.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from sagelocal.runtime.supervisor import linux

NOBODY = 65534
DOCKER = Path("/var/run/docker.sock")


def main(folder: Path, command: list[str]) -> None:
    """Never returns."""
    if os.geteuid() == 0:
        _give_away(folder)
        _open_way_to(Path(sys.base_prefix))
        os.setgroups([DOCKER.stat().st_gid] if DOCKER.exists() else [])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    os.chdir(folder)
    os.environ["HOME"] = str(folder)
    os.execvp(command[0], command)


def _give_away(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, NOBODY, NOBODY)


def _open_way_to(prefix: Path) -> None:
    """Show nothing but `prefix` in the first folder above it that is closed to others."""
    above = [*reversed(prefix.parents), prefix]
    closed = next((path for path in above if not path.stat().st_mode & 0o001), None)
    if closed is None:
        return
    linux.unshare(linux.NEW_MOUNTS)
    linux.mount("none", "/", linux.RECURSIVE | linux.PRIVATE)
    opened = os.open(prefix, os.O_PATH)
    linux.mount("tmpfs", str(closed), 0, kind="tmpfs", options="mode=755")
    prefix.mkdir(parents=True, exist_ok=True)
    linux.mount(f"/proc/self/fd/{opened}", str(prefix), linux.BIND | linux.RECURSIVE)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

"""What memory there is for models, and what they take of it (proc(5), cgroups(7))."""

from __future__ import annotations

import contextlib
import mmap
import os
from pathlib import Path

MIB = 1024 * 1024
# The rest is for the server itself and for requests.
DEFAULT_SHARE = 0.8
# Whom the kernel kills first when memory ends: models before the server, loading ones before all.
LOADING_SCORE, LOADED_SCORE = 1000, 500

_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
# Clean pages of files are the system's to take back at any time.
_PRIVATE = (b"Private_Dirty:", b"Private_Hugetlb:", b"Swap:")


def default_limit() -> int:
    """Bytes for all models together: most of what this container, or this machine, has."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(min([machine, *_container_limits()]) * DEFAULT_SHARE)


def private_bytes(process_id: int) -> int:
    """What would be free if the process ended; 0 if it has."""
    try:
        lines = Path(f"/proc/{process_id}/smaps_rollup").read_bytes().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(_PRIVATE))


def most_bytes(process_id: int) -> int:
    """What it holds, with what it shares with its parent; told a hundred times faster.

    So no less than `private_bytes`, up to swap and what the kernel counts late.
    """
    try:
        fields = Path(f"/proc/{process_id}/statm").read_text().split()
    except OSError:
        return 0
    return (int(fields[1]) - int(fields[2])) * mmap.PAGESIZE


def offer_to_killer(score: int) -> None:
    """Let the kernel take this process rather than one of a lower score, where that may be said."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(score))


def _container_limits() -> list[int]:
    found = []
    for path in _CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # "max" is no number: no limit
            found.append(int(path.read_text()))
    return found

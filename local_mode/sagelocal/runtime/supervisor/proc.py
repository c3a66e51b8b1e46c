"""What /proc says about processes: identities that survive pid reuse, children, sessions, memory.

A pid alone means nothing after a reboot or a wrap-around, so an identity is the pid, its start time
in clock ticks since boot, and the boot's id (proc(5)).
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

_STATE, _PARENT, _SESSION, _START = 0, 1, 3, 19
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def boot_id() -> str:
    """This boot of the kernel."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def _stat(pid: int) -> list[str] | None:
    """The fields after the command's name, which may itself hold spaces and brackets."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def start_time(pid: int) -> int | None:
    """Clock ticks since boot at which the process started; None if there is no such process."""
    fields = _stat(pid)
    return int(fields[_START]) if fields else None


def is_alive(pid: int, started: int, boot: str) -> bool:
    """Whether that very process still runs; one that only waits to be reaped does not."""
    fields = _stat(pid)
    if not fields or fields[_STATE] in "ZX":
        return False
    return int(fields[_START]) == started and boot == boot_id()


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def children(pid: int) -> list[int]:
    """Its direct children."""
    return [other for other in _pids() if (fields := _stat(other)) and int(fields[_PARENT]) == pid]


def descendants(pid: int) -> list[int]:
    """Every process below it, in no order."""
    parents = {other: int(fields[_PARENT]) for other in _pids() if (fields := _stat(other))}
    below = {pid}
    grew = True
    while grew:
        found = {other for other, parent in parents.items() if parent in below} - below
        below |= found
        grew = bool(found)
    return list(below - {pid})


def session_members(session: int, started: int) -> list[int]:
    """Processes of a session whose leader started at `started`."""
    return [
        pid
        for pid in _pids()
        if (fields := _stat(pid))
        and int(fields[_SESSION]) == session
        and int(fields[_START]) >= started
    ]


def private_bytes(pid: int) -> int:
    """Memory that the process does not share; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            _, resident, shared = file.read().split()[:3]
    except OSError:
        return 0
    return (int(resident) - int(shared)) * _PAGE_BYTES


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send the signal; a process that is gone or not ours is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)

"""The system calls that Python 3.11 lacks: unshare(2), setns(2), mount(2), pivot_root(2), prctl(2).

Each raises OSError with the call's name in its text.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct

NEW_MOUNTS, NEW_HOSTNAME, NEW_USER, NEW_NETWORK = 0x00020000, 0x04000000, 0x10000000, 0x40000000
READ_ONLY, REMOUNT, BIND, MOVE = 1, 32, 4096, 8192
RECURSIVE, PRIVATE, RELATIME = 16384, 1 << 18, 1 << 21

_SET_DEATH_SIGNAL, _SET_CHILD_SUBREAPER = 1, 36
_DETACH = 2
_SIOCSIFFLAGS, _IFF_UP, _AF_INET, _SOCK_DGRAM = 0x8914, 1, 2, 2
# The same number on x86-64 and in the table that later architectures share (arm64, riscv64).
_PIVOT_ROOT = 155 if os.uname().machine == "x86_64" else 41

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(number: int) -> None:
    """Get the signal when the parent ends. A change of credentials forgets it: ask afterwards."""
    _check(_libc.prctl(_SET_DEATH_SIGNAL, number, 0, 0, 0), "prctl")


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent has ended."""
    _check(_libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


def unshare(flags: int) -> None:
    """Leave the namespaces of these kinds for new ones."""
    _check(_libc.unshare(flags), "unshare")


def join(namespace: int, kind: int) -> None:
    """Enter the namespace that an open file of /proc/PID/ns stands for."""
    _check(_libc.setns(namespace, kind), "setns")


def set_hostname(hostname: str) -> None:
    """Of this UTS namespace."""
    name = hostname.encode()
    _check(_libc.sethostname(name, len(name)), "sethostname")


def mount(
    source: str,
    target: str,
    flags: int,
    kind: str | None = None,
    options: str | None = None,
    named: str | None = None,
) -> None:
    """mount(2); `named` is what an error calls the source."""
    result = _libc.mount(
        source.encode(),
        target.encode(),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        options.encode() if options else None,
    )
    _check(result, f"mount {named or source} at {target}")


def become_root(folder: str) -> None:
    """Make a mount point the root of this mount namespace, and let go of the old one."""
    os.chdir(folder)
    # With "." twice the old root lies over the new one, and is taken off (pivot_root(2), Notes).
    _check(_libc.syscall(_PIVOT_ROOT, b".", b"."), f"pivot_root {folder}")
    _check(_libc.umount2(b".", _DETACH), "umount of the old root")
    os.chdir("/")


def loopback_up() -> None:
    """Switch on `lo` in this network namespace. (The module `socket` takes long to import.)"""
    request = struct.pack("16sh14x", b"lo", _IFF_UP)
    channel = _check(_libc.socket(_AF_INET, _SOCK_DGRAM, 0), "socket")
    try:
        fcntl.ioctl(channel, _SIOCSIFFLAGS, request)
    finally:
        os.close(channel)


def _check(result: int, call: str) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
    return result

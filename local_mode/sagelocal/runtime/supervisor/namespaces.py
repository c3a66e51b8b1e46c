"""A container's own mounts, host name and network, by Linux namespaces (namespaces(7)).

Without root they are in a user namespace, in which the container sees itself as root, as it does in
the cloud, and its files are the user's own. The hosts of an isolated job share one network, which
has a loopback and nothing else: the first that is started makes it, and the next ones join.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from sagelocal.runtime.supervisor import linux, proc


class Peer(NamedTuple):
    """A process whose isolated network is to be joined."""

    pid: int
    started: int


def enter(hostname: str | None, isolated: bool, peers: list[Peer]) -> None:
    """Put the calling process (of one thread) into namespaces of its own.

    `isolated` asks for a network with a loopback only: that of one of `peers` that still lives, or
    a new one. Raises OSError where this is not allowed.
    """
    new = linux.NEW_MOUNTS | (linux.NEW_HOSTNAME if hostname else 0)
    joined = isolated and any(_join(peer) for peer in peers)
    if isolated and not joined:
        new |= linux.NEW_NETWORK
    _unshare(new)
    linux.mount("none", "/", linux.RECURSIVE | linux.PRIVATE)
    if hostname:
        linux.set_hostname(hostname)
    if isolated and not joined:
        linux.loopback_up()


def _unshare(new: int) -> None:
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        linux.unshare(new)
        return
    linux.unshare(new | linux.NEW_USER)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"0 {user} 1")
    _write("/proc/self/gid_map", f"0 {group} 1")


def _join(peer: Peer) -> bool:
    """Enter a peer's network, and its user namespace where that is what owns it."""
    try:
        opened = [os.open(f"/proc/{peer.pid}/ns/{kind}", os.O_RDONLY) for kind in ("user", "net")]
    except (FileNotFoundError, ProcessLookupError):
        return False
    try:
        # Asked after it was opened: the number may have been given to another process meanwhile.
        if proc.start_time(peer.pid) != peer.started:
            return False
        if os.geteuid() != 0:
            linux.join(opened[0], linux.NEW_USER)
        linux.join(opened[1], linux.NEW_NETWORK)
        return True
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)

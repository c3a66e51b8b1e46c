"""A private /opt/ml, host name and network for one container, by Linux namespaces (unshare(2)).

Nothing is left on the machine: mounts live in the container's own mount namespace and end with it.
Where /opt/ml does not exist, /opt is covered by a small tmpfs that shows everything that /opt holds
and has an `ml` of its own. Without root the same happens in a user namespace, in which the
container sees itself as root, as it does in the cloud, and its files are the user's own.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from typing import NamedTuple

OPT_ML = "/opt/ml"

_NEWNS, _NEWUTS, _NEWUSER, _NEWNET = 0x00020000, 0x04000000, 0x10000000, 0x40000000
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_MOVE = 1, 32, 4096, 8192
_MS_REC, _MS_PRIVATE, _MS_RELATIME = 16384, 1 << 18, 1 << 21
_ST_RELATIME = 4096
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_SIOCSIFFLAGS, _IFF_UP, _AF_INET, _SOCK_DGRAM = 0x8914, 1, 2, 2

_libc = ctypes.CDLL(None, use_errno=True)


class Bind(NamedTuple):
    """A host folder or file at a place of the container; see `interface.Mount`."""

    source: str
    target: str
    read_only: bool
    scratch: str | None


def die_with_parent(number: int) -> None:
    """Get the signal when the parent ends. A change of credentials forgets it: ask afterwards."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0), "prctl")


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent has ended."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


def enter(
    scratch: str,
    own_opt_ml: str,
    binds: list[Bind],
    hostname: str | None,
    hosts_file: str | None,
    isolated: bool,
) -> None:
    """Put the calling process (of one thread) into namespaces of its own.

    `own_opt_ml` becomes /opt/ml, and each of `binds` is mounted over it. `scratch` is an empty
    folder for a mount point. Raises OSError where this is not allowed.
    """
    _unshare(_NEWNS | (_NEWUTS if hostname else 0) | (_NEWNET if isolated else 0))
    _mount_opt_ml(scratch, own_opt_ml, binds)
    if hosts_file:
        _mount(hosts_file, "/etc/hosts", _MS_BIND)
    if hostname:
        name = hostname.encode()
        _check(_libc.sethostname(name, len(name)), "sethostname")
    if isolated:
        _loopback_up()


def try_overlay(folder: str) -> None:
    """Mount an overlay with its scratch in the empty `folder`. Raises OSError where that fails."""
    lower, scratch, target = (os.path.join(folder, name) for name in ("lower", "scratch", "target"))
    for made in (lower, scratch, target):
        os.mkdir(made)
    _unshare(_NEWNS)
    _Layers(lower, scratch).mount(target)


def link_instead(own_opt_ml: str, binds: list[Bind]) -> None:
    """Where mounts are not allowed: each source as a symbolic link below `own_opt_ml`."""
    for source, target, _, scratch in binds:
        if scratch:
            raise OSError(errno.ENOTSUP, f"mount of {source}: it could not be kept as it is")
        place = os.path.normpath(own_opt_ml + target.removeprefix(OPT_ML))
        if os.path.islink(place):
            os.unlink(place)
        elif os.path.isdir(place):
            os.rmdir(place)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.symlink(source, place)


class _Layers:
    """The folders of an overlay mount, opened so that they are found whatever is mounted later."""

    def __init__(self, source: str, scratch: str) -> None:
        self._source = source
        upper, work = os.path.join(scratch, "upper"), os.path.join(scratch, "work")
        for folder in (upper, work):
            os.makedirs(folder, exist_ok=True)
        # What a container sees of a folder is the upper layer's owner and mode.
        os.chmod(upper, 0o755)
        self._opened = [_open_path(folder) for folder in (source, upper, work)]

    def mount(self, target: str) -> None:
        lower, upper, work = (f"/proc/self/fd/{opened}" for opened in self._opened)
        # Volatile: nothing is synced when the container ends; nobody reads the layers again.
        options = f"lowerdir={lower},upperdir={upper},workdir={work},volatile"
        if _in_user_namespace():
            options += ",userxattr"
        _make_mount_point(target, is_folder=True)
        _mount("overlay", target, 0, kind="overlay", options=options, named=self._source)
        for opened in self._opened:
            os.close(opened)


class _Folder:
    """A host folder or file, opened so that it is found whatever is mounted later."""

    def __init__(self, source: str, read_only: bool) -> None:
        self._source = source
        self._read_only = read_only
        self._opened = _open_path(source)

    def mount(self, target: str) -> None:
        place = f"/proc/self/fd/{self._opened}"
        _make_mount_point(target, is_folder=os.path.isdir(place))
        _mount(place, target, _MS_BIND | _MS_REC, named=self._source)
        if self._read_only:
            _mount("none", target, _MS_BIND | _MS_REMOUNT | _MS_RDONLY | _kept_flags(target))
        os.close(self._opened)


def _unshare(flags: int) -> None:
    user, group = os.geteuid(), os.getegid()
    _check(_libc.unshare(flags | (0 if user == 0 else _NEWUSER)), "unshare")
    if user != 0:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"0 {user} 1")
        _write("/proc/self/gid_map", f"0 {group} 1")
    _mount("none", "/", _MS_REC | _MS_PRIVATE)


def _in_user_namespace() -> bool:
    """Whether root here is somebody else outside: then it may not set trusted attributes."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return file.read().split() != ["0", "0", "4294967295"]


def _mount_opt_ml(scratch: str, own_opt_ml: str, binds: list[Bind]) -> None:
    # Sources are opened first: what is mounted over /opt may hide the way to them.
    own = _Folder(own_opt_ml, read_only=False)
    sources = [
        _Layers(bind.source, bind.scratch) if bind.scratch else _Folder(bind.source, bind.read_only)
        for bind in binds
    ]
    if not os.path.isdir(OPT_ML):
        _cover_opt(scratch)
    own.mount(OPT_ML)
    for bind, source in zip(binds, sources, strict=True):
        source.mount(bind.target)


def _cover_opt(scratch: str) -> None:
    """Show all that /opt holds in a tmpfs, add `ml`, and put it in the place of /opt."""
    _mount("tmpfs", scratch, 0, kind="tmpfs", options="mode=755,size=1m")
    with os.scandir("/opt") as entries:
        for entry in entries:
            shown = os.path.join(scratch, entry.name)
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), shown)
                continue
            _make_mount_point(shown, is_folder=entry.is_dir())
            _mount(entry.path, shown, _MS_BIND | _MS_REC)
    os.mkdir(os.path.join(scratch, "ml"))
    _mount(scratch, "/opt", _MS_MOVE)


def _make_mount_point(target: str, is_folder: bool) -> None:
    if os.path.exists(target):
        return
    if is_folder:
        os.makedirs(target)
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))


def _kept_flags(target: str) -> int:
    """Flags that a remount must repeat: in a user namespace they may not be taken away."""
    found = os.statvfs(target).f_flag
    same = found & (2 | 4 | 8 | 1024 | 2048)  # nosuid, nodev, noexec, noatime, nodiratime
    return same | (_MS_RELATIME if found & _ST_RELATIME else 0)


def _loopback_up() -> None:
    request = struct.pack("16sh14x", b"lo", _IFF_UP)
    channel = _check(_libc.socket(_AF_INET, _SOCK_DGRAM, 0), "socket")
    try:
        fcntl.ioctl(channel, _SIOCSIFFLAGS, request)
    finally:
        os.close(channel)


def _mount(
    source: str,
    target: str,
    flags: int,
    kind: str | None = None,
    options: str | None = None,
    named: str | None = None,
) -> None:
    result = _libc.mount(
        source.encode(),
        target.encode(),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        options.encode() if options else None,
    )
    _check(result, f"mount {named or source} at {target}")


def _open_path(path: str) -> int:
    try:
        return os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise OSError(error.errno, f"mount of {path}: {os.strerror(error.errno or 0)}") from error


def _check(result: int, call: str) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
    return result


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)

"""What a container sees of the file system, in a mount namespace of its own (mount_namespaces(7)).

Nothing is left on the machine: the mounts end with the container. A mount point that does not exist
(/opt/ml is one on most machines) is made in a tmpfs that covers the nearest folder above it and
shows everything that this folder holds; where that is /, the tmpfs becomes the container's root.
"""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

from sagelocal.runtime.supervisor import linux

OPT_ML = "/opt/ml"

_ST_RELATIME = 4096


class Bind(NamedTuple):
    """A host folder or file at a place of the container; see `interface.Mount`."""

    source: str
    target: str
    read_only: bool
    scratch: str | None


def mount_all(scratch: str, own_opt_ml: str, binds: list[Bind]) -> None:
    """Put `own_opt_ml` at /opt/ml, and each of `binds` in its place, maybe over it.

    `scratch` is a folder for mount points. Raises OSError where this is not allowed.
    """
    # Sources are opened first: what is mounted over /opt may hide the way to them.
    own = _Folder(own_opt_ml, read_only=False)
    sources = [
        _Layers(bind.source, bind.scratch) if bind.scratch else _Folder(bind.source, bind.read_only)
        for bind in binds
    ]
    outside = [bind.target for bind in binds if not is_below_opt_ml(bind.target)]
    root = _make_places([OPT_ML, *outside], scratch)
    own.mount(root + OPT_ML)
    for bind, source in zip(binds, sources, strict=True):
        source.mount(root + bind.target)
    if root:
        linux.become_root(root)


def mount_file(source: str, target: str) -> None:
    """Show a file at the place of one that is there."""
    linux.mount(source, target, linux.BIND)


def is_below_opt_ml(target: str) -> bool:
    """Whether a path is /opt/ml or below it."""
    return target == OPT_ML or target.startswith(f"{OPT_ML}/")


def try_overlay(folder: str) -> None:
    """Mount an overlay with its scratch in the empty `folder`. Raises OSError where that fails."""
    lower, scratch, target = (os.path.join(folder, name) for name in ("lower", "scratch", "target"))
    for made in (lower, scratch, target):
        os.mkdir(made)
    _Layers(lower, scratch).mount(target)


def link_instead(own_opt_ml: str, binds: list[Bind]) -> None:
    """Where mounts are not allowed: each source as a symbolic link below `own_opt_ml`."""
    for source, target, _, scratch in binds:
        if scratch:
            raise OSError(errno.ENOTSUP, f"mount of {source}: it could not be kept as it is")
        if not is_below_opt_ml(target):
            raise OSError(errno.ENOTSUP, f"mount at {target}: only {OPT_ML} can be stood in for")
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
        linux.mount("overlay", target, 0, kind="overlay", options=options, named=self._source)
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
        linux.mount(place, target, linux.BIND | linux.RECURSIVE, named=self._source)
        if self._read_only:
            flags = linux.BIND | linux.REMOUNT | linux.READ_ONLY | _kept_flags(target)
            linux.mount("none", target, flags)
        os.close(self._opened)


def _make_places(targets: list[str], scratch: str) -> str:
    """Let there be a folder at each target, for this mount namespace alone.

    What is to become the root, below which they are then; empty if it stays as it is.
    """
    missing: dict[str, list[str]] = {}
    for target in targets:
        if not os.path.isdir(target):
            missing.setdefault(_nearest_folder(target), []).append(target)
    root = ""
    # The root last: it takes along what was covered below it.
    for number, folder in enumerate(sorted(missing, reverse=True)):
        place = os.path.join(scratch, str(number))
        os.mkdir(place)
        _copy_of(folder, place)
        for target in missing[folder]:
            os.makedirs(os.path.join(place, os.path.relpath(target, folder)), exist_ok=True)
        if folder == "/":
            root = place
        else:
            linux.mount(place, folder, linux.MOVE)
    return root


def _nearest_folder(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _copy_of(folder: str, place: str) -> None:
    """A tmpfs at `place` that shows all that `folder` holds."""
    mode = os.stat(folder).st_mode & 0o7777
    linux.mount("tmpfs", place, 0, kind="tmpfs", options=f"mode={mode:o}")
    with os.scandir(folder) as entries:
        for entry in entries:
            _show(entry, os.path.join(place, entry.name))


def _show(entry: os.DirEntry[str], place: str) -> None:
    if entry.is_symlink():
        os.symlink(os.readlink(entry.path), place)
        return
    _make_mount_point(place, is_folder=entry.is_dir())
    linux.mount(entry.path, place, linux.BIND | linux.RECURSIVE)


def _make_mount_point(target: str, is_folder: bool) -> None:
    if os.path.exists(target):
        return
    if is_folder:
        os.makedirs(target)
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))


def _in_user_namespace() -> bool:
    """Whether root here is somebody else outside: then it may not set trusted attributes."""
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return file.read().split() != ["0", "0", "4294967295"]


def _kept_flags(target: str) -> int:
    """Flags that a remount must repeat: in a user namespace they may not be taken away."""
    found = os.statvfs(target).f_flag
    same = found & (2 | 4 | 8 | 1024 | 2048)  # nosuid, nodev, noexec, noatime, nodiratime
    return same | (linux.RELATIME if found & _ST_RELATIME else 0)


def _open_path(path: str) -> int:
    try:
        return os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise OSError(error.errno, f"mount of {path}: {os.strerror(error.errno or 0)}") from error

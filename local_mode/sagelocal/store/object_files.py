"""The bytes of objects as immutable plain files: written once, read by many, never changed.

    objects/incoming/<pid>-<n>     being written; whatever is here at start-up was left by a crash
    objects/files/000/00000001     complete; 4,096 to a folder, named by a number in hexadecimal

A writer fills an `Incoming` file and renames it into `files/` inside the database transaction that
names it. Numbers come from that same transaction, so the one file that a crash can leave there
without a row has the number that the next writer gets, and is replaced by it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import itertools
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

CHUNK_BYTES = 1024 * 1024
FILES_PER_FOLDER = 4096
# Linux's ioctl that makes a file share another's blocks (btrfs, XFS, bcachefs): linux/fs.h.
FICLONE = 0x40049409
# What a file system answers that cannot share blocks, or not between these two files.
CANNOT_SHARE = {
    errno.EOPNOTSUPP,
    errno.ENOTTY,
    errno.EXDEV,
    errno.EINVAL,
    errno.ENOSYS,
    errno.EPERM,
    errno.EBADF,
}

# What it answers that has no hard links, not from there to here, or none more of this file.
CANNOT_LINK = {errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}


class Incoming:
    """A file on its way in: written, hashed, then adopted by the store or thrown away.

    As a context manager it removes whatever nobody adopted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._md5 = hashlib.md5(usedforsecurity=False)
        # Read-only from birth: nothing but this descriptor ever writes to it.
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o444)
        self._file: BinaryIO = open(descriptor, "wb")  # noqa: SIM115 - closed by close()

    def write(self, chunk: bytes) -> None:
        """Append `chunk` and take it into the MD5."""
        self._file.write(chunk)
        self._md5.update(chunk)
        self.size += len(chunk)

    def write_all(self, stream: BinaryIO) -> None:
        """Append everything that is left in `stream`."""
        while chunk := stream.read(CHUNK_BYTES):
            self.write(chunk)

    def append_file(self, source: BinaryIO, size: int, offset: int = 0) -> None:
        """Append `size` bytes of an open file, in the kernel where possible, past the MD5."""
        self._file.flush()
        copied = _copy_range(source.fileno(), self._file.fileno(), size, offset)
        if copied != size:
            raise OSError(errno.EIO, f"expected {size} bytes from {offset}, got {copied}")
        self.size += size

    @property
    def md5(self) -> str:
        """Hexadecimal MD5 of everything written by `write`."""
        return self._md5.hexdigest()

    def close(self) -> None:
        """Flush to the file and close it; the bytes stay until adopted or discarded."""
        self._file.close()

    def discard(self) -> None:
        """Close and delete it; nothing to do when it was adopted."""
        with contextlib.suppress(OSError):
            # A full disk refuses the last bytes; they are not wanted any more.
            self.close()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.discard()


class ObjectFiles:
    """The folder of object bytes; opening it removes what unfinished writes left."""

    def __init__(self, root: Path) -> None:
        self._incoming = root / "incoming"
        self._files = root / "files"
        self._counter = itertools.count(1)
        for folder in (self._incoming, self._files):
            folder.mkdir(parents=True, exist_ok=True)
        for leftover in self._incoming.iterdir():
            leftover.unlink()

    def incoming(self) -> Incoming:
        """A new empty file to write to."""
        return Incoming(self.new_path())

    def new_path(self) -> Path:
        """Where a file may be made that nobody else uses; swept at start-up like `incoming`."""
        return self._incoming / f"{os.getpid()}-{next(self._counter)}"

    def path(self, number: int) -> Path:
        return self._files / f"{number // FILES_PER_FOLDER:03x}" / f"{number:08x}"

    def adopt(self, source: Path, number: int) -> None:
        """Give the finished file `source` its number. Raises OSError EXDEV across file systems."""
        target = self.path(number)
        try:
            source.rename(target)
        except FileNotFoundError:
            target.parent.mkdir(exist_ok=True)
            source.rename(target)

    def remove(self, number: int) -> None:
        """Delete a file; whoever has it open can read on."""
        self.path(number).unlink(missing_ok=True)


def clone(source: Path, target: Path) -> None:
    """Make `target` a new, writable file with the bytes of `source`, sharing blocks where possible.

    Writing to either never changes the other. Raises FileExistsError when `target` is there.
    """
    with source.open("rb") as reader, target.open("xb") as writer:
        if not _share_blocks(reader.fileno(), writer.fileno()):
            _copy_range(reader.fileno(), writer.fileno(), os.fstat(reader.fileno()).st_size)


def link(source: Path, target: Path) -> None:
    """Make `target` a file of the same bytes that is only to be read: a hard link where possible.

    Raises FileExistsError when `target` is there.
    """
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in CANNOT_LINK:
            raise
        clone(source, target)
        target.chmod(0o444)


def md5_of(path: Path) -> str:
    """Hexadecimal MD5 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def move(source: Path, target: Path) -> None:
    """Rename, or copy and delete where the two are on different file systems."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copyfile(source, target)
        source.unlink()


def _share_blocks(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, FICLONE, source)
    except OSError as error:
        if error.errno in CANNOT_SHARE:
            return False
        raise
    return True


def _copy_range(source: int, target: int, size: int, offset: int = 0) -> int:
    """Append up to `size` bytes of `source` from `offset` to `target`; how many there were.

    `copy_file_range` copies inside the kernel (and shares blocks on XFS and btrfs when ranges are
    aligned); between file systems that it does not serve, bytes pass through memory.
    """
    os.lseek(source, offset, os.SEEK_SET)
    os.lseek(target, 0, os.SEEK_END)
    left = size
    with contextlib.suppress(OSError):
        while left and (copied := os.copy_file_range(source, target, left)):
            left -= copied
    while left and (chunk := os.read(source, min(left, CHUNK_BYTES))):
        _write_fully(target, chunk)
        left -= len(chunk)
    return size - left


def _write_fully(descriptor: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]

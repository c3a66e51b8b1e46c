"""model.tar.gz as a folder, and nothing outside that folder, whatever the archive says.

Only folders, regular files and hard links to files of the same archive are taken. Symbolic links
are refused as the cloud refuses them; since none is ever made, no later member can be led astray
by one. Devices, pipes, absolute paths and paths with `..` are refused as well.

Format: POSIX.1-2001 pax and GNU tar, read by the standard library, below gzip (RFC 1952).
"""

from __future__ import annotations

import os
import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

# Model files are read by containers that need not run as root.
_FILE_MODE = 0o644
_EXECUTABLE_MODE = 0o755
_ANY_EXECUTE_BIT = 0o111
_BLOCK = 1024 * 1024


class BadArchive(Exception):
    """The archive cannot be extracted; the text names the member that is wrong."""


def extract(
    archive: BinaryIO,
    folder: Path,
    check: Callable[[], None] = lambda: None,
    *,
    compressed: bool = True,
) -> None:
    """Extract a tar.gz into `folder`, which exists. `check` is called between members.

    A plain tar, which the service takes nowhere, is read where `compressed` is false.

    Raises BadArchive; what was extracted before the bad member then lies in the folder.
    """
    try:
        with _opened(archive, compressed) as tar:
            for member in tar:
                check()
                _extract_member(tar, member, folder)
    except (tarfile.TarError, EOFError, zlib.error, UnicodeError) as error:
        kind = "gzip-compressed tar archive" if compressed else "tar archive"
        raise BadArchive(f"it is not a complete {kind} ({error}){_pack(compressed)}") from error


def _pack(compressed: bool = True) -> str:
    """The next step, where it is one command."""
    return "; pack it by `tar -czf model.tar.gz -C FOLDER .`" if compressed else ""


def _opened(archive: BinaryIO, compressed: bool) -> tarfile.TarFile:
    if compressed:
        return tarfile.open(fileobj=archive, mode="r|gz", errorlevel=1)
    return tarfile.open(fileobj=archive, mode="r|", errorlevel=1)


def _extract_member(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    target = folder / _relative(member.name, member.name)
    try:
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
        elif member.isreg():
            _write(tar, member, target)
        elif member.islnk():
            _link(folder / _relative(member.linkname, member.name), target, member)
        else:
            raise BadArchive(_refusal(member))
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise BadArchive(
            f"its member {member.name!r} is a file in one place and a folder in another"
        ) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadArchive(f"its member {member.name!r} cannot be written: {reason}") from error


def _relative(name: str, member_name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise BadArchive(
            f"its member {member_name!r} points outside the archive to {name!r}{_pack()}"
        )
    return path


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    content = tar.extractfile(member)
    if content is None:
        raise BadArchive(f"its member {member.name!r} has no content")
    _make_way(target)
    mode = _EXECUTABLE_MODE if member.mode & _ANY_EXECUTE_BIT else _FILE_MODE
    with content, target.open("xb") as file:
        shutil.copyfileobj(content, file, _BLOCK)
        os.fchmod(file.fileno(), mode)


def _link(source: Path, target: Path, member: tarfile.TarInfo) -> None:
    if not source.is_file():
        raise BadArchive(
            f"its member {member.name!r} is a link to {member.linkname!r}, which is not a file "
            "before it in the archive"
        )
    if source != target:
        _make_way(target)
        os.link(source, target)


def _make_way(target: Path) -> None:
    """Folders above; and a file that came earlier under the same name goes, as tar has it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)


def _refusal(member: tarfile.TarInfo) -> str:
    if member.issym():
        return (
            f"its member {member.name!r} is a symbolic link to {member.linkname!r}; "
            "replace links by copies of the files (tar --dereference)"
        )
    return f"its member {member.name!r} is neither a file nor a folder"

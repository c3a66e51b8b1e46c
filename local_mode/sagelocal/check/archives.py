"""Trees of files as tar, which is how the engine takes and gives them."""

from __future__ import annotations

import io
import json
import posixpath
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

_FOLDER_MODE, _FILE_MODE = 0o777, 0o666


@dataclass(frozen=True)
class Tree:
    """Folders and files below one folder, by relative path. Everything in it may be written."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    folders: tuple[str, ...] = ()

    @classmethod
    def of_path(cls, path: Path) -> Tree:
        """A file as the only one, or what lies below a folder."""
        if path.is_file():
            return cls({path.name: path.read_bytes()})
        found = sorted(each for each in path.rglob("*") if each.is_file())
        return cls({each.relative_to(path).as_posix(): each.read_bytes() for each in found})

    @classmethod
    def of_archive(cls, archive: bytes) -> Tree:
        """The regular files of a tar, gzipped or not. Raises tarfile.TarError."""
        files: dict[str, bytes] = {}
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                if content is not None:
                    files[posixpath.normpath(member.name)] = content.read()
        return cls(files)

    def below(self, folder: str) -> Tree:
        """The same, one folder further down."""
        return Tree(
            {f"{folder}/{name}": content for name, content in self.files.items()},
            (folder, *(f"{folder}/{name}" for name in self.folders)),
        )

    def stripped(self, folder: str) -> Tree:
        """What lies below one of its folders."""
        prefix = f"{folder}/"
        return Tree(
            {n.removeprefix(prefix): c for n, c in self.files.items() if n.startswith(prefix)}
        )

    def to_tar(self) -> bytes:
        """An archive for the engine, every folder before what is in it."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for name in self._all_folders():
                member = tarfile.TarInfo(name)
                member.type, member.mode = tarfile.DIRTYPE, _FOLDER_MODE
                tar.addfile(member)
            for name, content in self.files.items():
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(content), _FILE_MODE
                tar.addfile(member, io.BytesIO(content))
        return buffer.getvalue()

    def _all_folders(self) -> Iterable[str]:
        parents = [str(p) for name in self.files for p in PurePosixPath(name).parents]
        own = [
            str(p)
            for name in self.folders
            for p in (PurePosixPath(name), *PurePosixPath(name).parents)
        ]
        return sorted({*parents, *own} - {"."})


def joined(*trees: Tree) -> Tree:
    """All of them in one; of a file that two have, the last one's."""
    files: dict[str, bytes] = {}
    for tree in trees:
        files |= tree.files
    return Tree(files, tuple(name for tree in trees for name in tree.folders))


def as_json(document: object) -> bytes:
    """A configuration file's bytes."""
    return json.dumps(document).encode()

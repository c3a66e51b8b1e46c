"""What a user names, as a folder of files: an archive unpacked, a single file by itself.

An archive is unpacked below a temporary folder and never outside of it (`engine.extraction`), and
links in a folder are not followed out of it.
"""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sagelocal.engine.extraction import BadArchive, extract
from sagelocal.models.errors import ModelError

CODE_FOLDER = "code"
_ARCHIVE_NAMES = (".tar.gz", ".tgz", ".tar")
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Files:
    """The regular files of a model, by their paths below its folder, sorted."""

    folder: Path
    paths: tuple[Path, ...]
    """Relative; those of the user's code are not among them."""
    code: tuple[Path, ...] = ()

    @classmethod
    def of(cls, folder: Path) -> Files:
        """Everything below a folder; raises ModelError if that is nothing."""
        root = folder.resolve()
        found = sorted(
            path.relative_to(folder)
            for path in folder.rglob("*")
            if path.is_file() and path.resolve().is_relative_to(root)
        )
        if not found:
            raise ModelError("the model holds no files")
        code = tuple(path for path in found if path.parts[0] == CODE_FOLDER)
        return cls(folder, tuple(path for path in found if path not in set(code)), code)

    def named(self, *patterns: str) -> list[Path]:
        """The files whose names are like one of these, as a shell has it."""
        return [path for path in self.paths if any(path.match(pattern) for pattern in patterns)]

    def at(self, path: Path | str) -> Path:
        """Where a file lies."""
        return self.folder / path

    def first_bytes(self, path: Path, count: int = 16) -> bytes:
        """How a file begins."""
        with self.at(path).open("rb") as file:
            return file.read(count)

    def listing(self, most: int = 12) -> str:
        """Their names, for messages."""
        names = [path.as_posix() for path in (*self.paths, *self.code)]
        rest = f" and {len(names) - most} more" if len(names) > most else ""
        return ", ".join(names[:most]) + rest


@contextmanager
def opened(model: Path) -> Iterator[Files]:
    """The files of an archive, a folder or a single file, inside. Raises ModelError."""
    try:
        if model.is_dir():
            yield Files.of(model)
        elif not model.is_file():
            raise ModelError("there is neither a file nor a folder of this name")
        elif model.stat().st_size == 0:
            raise ModelError("the file is empty")
        elif _is_archive(model):
            with tempfile.TemporaryDirectory(prefix="sagelocal-model-") as folder:
                _unpack(model, Path(folder))
                yield Files.of(Path(folder))
        else:
            yield Files(model.parent, (Path(model.name),))
    except ModelError as error:
        raise type(error)(f"{model}: {error}") from error
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        raise ModelError(f"{model} cannot be read: {error.strerror or error}{place}") from error


def _is_archive(model: Path) -> bool:
    """By its name, or by what it is: what joblib compresses is gzip too, and no archive."""
    if model.name.endswith(_ARCHIVE_NAMES):
        return True
    try:
        return tarfile.is_tarfile(model)
    except (OSError, EOFError):
        return False


def _unpack(model: Path, folder: Path) -> None:
    with model.open("rb") as stream:
        compressed = stream.read(2) == _GZIP
        stream.seek(0)
        if not compressed and not tarfile.is_tarfile(model):
            raise ModelError(
                f"it is no gzip-compressed tar archive: it begins with {stream.read(8)!r}"
            )
        stream.seek(0)
        try:
            extract(stream, folder, compressed=compressed)
        except BadArchive as error:
            raise ModelError(f"it cannot be unpacked: {error}") from error

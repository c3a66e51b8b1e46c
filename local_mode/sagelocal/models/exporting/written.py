"""What an exporter leaves."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sagelocal.models.errors import ModelError


@dataclass(frozen=True)
class Written:
    """A file or folder, what it is, and what else to know."""

    path: Path
    says: str
    notes: tuple[str, ...] = ()


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; makes its folder. Raises ModelError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(name, 0o666 & ~mask)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ModelError(f"{path} cannot be written: {error.strerror}") from error

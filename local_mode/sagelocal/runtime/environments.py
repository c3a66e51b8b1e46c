"""Locked environments of image families as virtual environments, for the process runtime.

One environment per content: its folder is named by a hash of the interpreter, the locks and the
sources that are installed, so that a changed lock or source makes another one and a running
container keeps its own. uv builds them, mostly by hard links from its cache.

A file lock allows one builder at a time; a marker file says that a build was finished, so that one
that was interrupted is made anew. Whoever runs out of an environment holds the marker's lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uv

from sagelocal.runtime.images import ImageCatalog, ImageFamily
from sagelocal.runtime.interface import RuntimeFault

_MARKER = ".complete"
_UNUSED_DAYS = 14
_IMAGE_PYTHON = (3, 11)
_NOT_SOURCES = {"__pycache__", ".venv", "build", "dist", "tests"}
_UV_MAY_NOT_SEE = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PROJECT_ENVIRONMENT")


@dataclass(frozen=True)
class Environment:
    """A finished virtual environment."""

    folder: Path

    @property
    def scripts(self) -> Path:
        """Where `python`, `train` and `serve` are."""
        return self.folder / "bin"

    @contextlib.contextmanager
    def in_use(self) -> Iterator[int]:
        """A descriptor that keeps the environment for as long as any process has it open."""
        marker = os.open(self.folder / _MARKER, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.utime(marker)
            fcntl.flock(marker, fcntl.LOCK_SH)
            yield marker
        finally:
            os.close(marker)


class Environments:
    """Every environment below one folder, which planes share. Safe from any thread or process."""

    def __init__(self, folder: Path, images: ImageCatalog) -> None:
        self._folder = folder
        self._images = images

    def ready(self, family: ImageFamily) -> Environment:
        """The family's environment, built if it is not there. Raises RuntimeFault."""
        folder = self._folder / f"{family.family}-{self._key(family)}"
        if not (folder / _MARKER).exists():
            self._build(family, folder)
        return Environment(folder)

    def _build(self, family: ImageFamily, folder: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_suffix(".lock")) as lock:
            if (folder / _MARKER).exists():
                return
            shutil.rmtree(folder, ignore_errors=True)
            _uv(lock, family, "venv", "--seed", "--python", _interpreter(), str(folder))
            requirements = [
                argument
                for part in self._images.chain(family)
                if part.requirements_lock.exists()
                for argument in ("--requirement", str(part.requirements_lock))
            ]
            projects = [str(project) for project in self._images.projects(family)]
            if requirements or projects:
                python = str(folder / "bin" / "python")
                install = ("pip", "install", "--no-deps", "--compile-bytecode", "--python", python)
                _uv(lock, family, *install, *self._sources(family), *requirements, *projects)
            (folder / _MARKER).touch()
        self._prune(family)

    def _sources(self, family: ImageFamily) -> Iterator[str]:
        """Where packages come from besides the usual index, as options of uv."""
        for part in self._images.chain(family):
            if part.has_wheels:
                yield from ("--find-links", str(part.wheels))
            elif part.index is not None:
                yield from ("--extra-index-url", part.index)
                # Of all that the indexes have together; uv takes the first that has the name.
                yield from ("--index-strategy", "unsafe-best-match")

    def _key(self, family: ImageFamily) -> str:
        digest = hashlib.sha256(f"{sys.version}\0{_interpreter()}".encode())
        for part in self._images.chain(family):
            if part.requirements_lock.exists():
                digest.update(part.requirements_lock.read_bytes())
        for project in self._images.projects(family):
            for path in _sources(project):
                digest.update(f"\0{path}\0".encode())
                digest.update(path.read_bytes())
        return digest.hexdigest()[:16]

    def _prune(self, family: ImageFamily) -> None:
        """Delete the family's environments that nothing has used for two weeks."""
        oldest = time.time() - _UNUSED_DAYS * 86_400
        for marker in self._folder.glob(f"{family.family}-*/{_MARKER}"):
            if marker.stat().st_mtime < oldest and _is_unused(marker):
                marker.unlink(missing_ok=True)
                shutil.rmtree(marker.parent, ignore_errors=True)


def default_folder() -> Path:
    """`sagelocal/environments` in the user's cache (XDG Base Directory Specification)."""
    cache = os.environ.get("XDG_CACHE_HOME")
    base = Path(cache) if cache and Path(cache).is_absolute() else Path.home() / ".cache"
    return base / "sagelocal" / "environments"


def _interpreter() -> str:
    """The images' Python: the one that runs us if its version is right, else one that uv finds."""
    if sys.version_info[:2] == _IMAGE_PYTHON:
        return os.path.realpath(sys.executable)
    return ".".join(map(str, _IMAGE_PYTHON))


def _sources(project: Path) -> list[Path]:
    """The files that the project's installation is made of, in a fixed order."""
    found = [project / "pyproject.toml"]
    for folder, folders, names in os.walk(project):
        folders[:] = sorted(
            name for name in folders if name not in _NOT_SOURCES and not name.endswith(".egg-info")
        )
        if Path(folder) == project:  # beside its modules: README, Dockerfile, locks
            names = [name for name in names if name.endswith((".py", ".cfg"))]
        found += [Path(folder) / name for name in sorted(names) if not name.endswith(".pyc")]
    return found


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


def _is_unused(marker: Path) -> bool:
    with marker.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _uv(lock: int, family: ImageFamily, *arguments: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in _UV_MAY_NOT_SEE}
    # uv gets the lock, too: if we are killed, nobody else builds until it has ended.
    done = subprocess.run(
        [uv.find_uv_bin(), "--quiet", *arguments],
        env=environment,
        cwd=family.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        pass_fds=(lock,),
    )
    if done.returncode:
        raise RuntimeFault(
            f"The environment of the image {family.family!r} could not be built: "
            f"`uv {' '.join(arguments[:2])}` ended with {done.returncode}:\n"
            f"{_last_lines(done.stderr)}\n"
            "Its packages come from the package index that uv is set up for; see that it answers."
        )


def _last_lines(text: str, count: int = 15) -> str:
    return "\n".join(text.strip().splitlines()[-count:])

"""Packages in a folder of their own, on top of an environment: the folder may be shared.

While it is made, a layer is a virtual environment that sees the packages of the one that it stands
on, so that pip installs what is missing there or differs, as it does in the cloud, and nothing else
(PEP 405, and `site` of Python's documentation). What is kept of it names no interpreter:

    LAYER/lib/pythonX.Y/site-packages/    the packages
    LAYER/bin/                            their scripts, which begin with `#!python` as in a wheel
    LAYER/...                             whatever else they bring: share/, etc/, lib/libX.so
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shutil
import site
import sys
import sysconfig
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ON_TOP = "_below.pth"
_JOINED = "_requirements.pth"
_ANY_PYTHON = b"#!python\n"
# `#!PYTHON`, or the form that installers choose where PYTHON is too long for that.
_FIRST_LINES = re.compile(rb"#!/bin/sh\n'''exec' .*\n' '''\n|#!.*\n")
# The kernel reads no more of a first line (BINPRM_BUF_SIZE of Linux before 5.1).
_LONGEST_INTERPRETER = 127


@dataclass(frozen=True)
class Layer:
    """A finished layer."""

    folder: Path

    @property
    def packages(self) -> Path:
        """Its site-packages."""
        return self.folder / _relative_packages()

    @property
    def names(self) -> list[str]:
        """What it holds, as `name version`."""
        return sorted(_names(self.packages))

    def join(self) -> None:
        """Add it to this environment, for interpreters that start from now on. Raises OSError.

        What pip installs afterwards goes before it, and so does nothing else that differs.
        """
        self._add_files()
        own = sysconfig.get_path("purelib")
        layer = str(self.packages)
        line = (
            f"import site, sys; site.addsitedir({layer!r}); sys.path.remove({layer!r}); "
            f"sys.path.insert(sys.path.index({own!r}) + {self._place(own)}, {layer!r})\n"
        )
        Path(own, _JOINED).write_text(line, encoding="utf-8")

    def enter(self, *, first: bool = False) -> None:
        """Make its packages importable in this process; `first` before any other package."""
        layer, own = str(self.packages), sysconfig.get_path("purelib")
        site.addsitedir(layer)
        with contextlib.suppress(ValueError):
            sys.path.remove(layer)
        place = 0 if first or own not in sys.path else sys.path.index(own) + self._place(own)
        sys.path.insert(place, layer)
        importlib.invalidate_caches()

    def _place(self, own: str) -> int:
        """Before the environment's own packages if it replaces one of them, else behind them."""
        there = {text.partition(" ")[0] for text in _names(Path(own))}
        return 0 if there & {text.partition(" ")[0] for text in self.names} else 1

    def _add_files(self) -> None:
        """Scripts as copies that this interpreter runs, other files as links, if not there yet."""
        for path in self._other_files():
            target = Path(sys.prefix, path.relative_to(self.folder))
            if path.parent == self.folder / "bin":
                content = path.read_bytes()
                if content.startswith(_ANY_PYTHON):
                    content = _interpreter() + content.removeprefix(_ANY_PYTHON)
                target.unlink(missing_ok=True)
                target.write_bytes(content)
                target.chmod(0o755)
            elif not os.path.lexists(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(path)

    def _other_files(self) -> Iterator[Path]:
        for folder, folders, names in os.walk(self.folder):
            folders[:] = [name for name in folders if Path(folder, name) != self.packages]
            yield from (Path(folder, name) for name in names)


def begin(folder: Path) -> Path:
    """Make `folder` an environment on top of this one, without pip of its own; its Python."""
    venv.EnvBuilder(with_pip=False, symlinks=True).create(folder)
    packages = folder / _relative_packages()
    packages.mkdir(parents=True, exist_ok=True)
    below = "".join(f"import site; site.addsitedir({path!r})\n" for path in site.getsitepackages())
    (packages / _ON_TOP).write_text(below, encoding="utf-8")
    return folder / "bin" / "python"


def finish(folder: Path) -> None:
    """Take away what makes it an environment of this interpreter's."""
    own = os.fsencode(folder / "bin" / "python")
    for path in (folder / "bin").iterdir():
        if path.is_symlink() or path.name.lower().startswith("activate"):
            path.unlink()
            continue
        content = path.read_bytes()
        head = _FIRST_LINES.match(content)
        if head and own in head[0]:
            path.write_bytes(_ANY_PYTHON + content[head.end() :])
    (folder / _relative_packages() / _ON_TOP).unlink()
    (folder / "pyvenv.cfg").unlink()
    for name in ("lib64", ".gitignore"):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "include", ignore_errors=True)


def _relative_packages() -> Path:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Path("lib", f"python{version}", "site-packages")


def _names(packages: Path) -> Iterator[str]:
    """Of the packages in a folder: `name version`, the name as PEP 503 normalises it."""
    for path in packages.glob("*.dist-info"):
        name, _, version = path.name.removesuffix(".dist-info").partition("-")
        yield f"{re.sub(r'[-_.]+', '-', name).lower()} {version}"


def _interpreter() -> bytes:
    """The first lines of a script, which stay Python where the path is too long for the kernel."""
    line = f"#!{sys.executable}"
    if len(os.fsencode(line)) > _LONGEST_INTERPRETER or " " in line:
        line = f"#!/bin/sh\n'''exec' \"{sys.executable}\" \"$0\" \"$@\"\n' '''"
    return os.fsencode(line) + b"\n"

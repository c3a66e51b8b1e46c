"""A container's own face of an environment that many share, for the process runtime.

In an image each container installs its requirements for itself alone. A shared virtual environment
would keep what one job installed for every later one, so each container gets an environment of its
own, made of a few small files: packages are looked for in its own folder first, then in the shared
one, and what pip installs lands in its own. The format is that of PEP 405.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

# The kernel reads no more of a first line (BINPRM_BUF_SIZE of Linux before 5.1).
_LONGEST_INTERPRETER = 127
# `#!PYTHON`, or the form that installers choose where PYTHON is too long for that.
_FIRST_LINES = re.compile(rb"#!/bin/sh\n'''exec' .*\n' '''\n|#!.*\n")


def make_private(
    shared: Path, folder: Path, executables: Mapping[str, Path] = MappingProxyType({})
) -> Path:
    """Make `folder` an environment on top of the virtual environment `shared`; its bin folder.

    `executables` are further programs for it, by name; they go before those of `shared`.
    """
    scripts = folder / "bin"
    packages = next((shared / "lib").glob("python*/site-packages")).relative_to(shared)
    scripts.mkdir(parents=True)
    (folder / packages).mkdir(parents=True)
    # addsitedir reads the shared environment's own .pth files too.
    base = str(shared / packages)
    (folder / packages / "_shared.pth").write_text(f"import site; site.addsitedir({base!r})\n")
    (folder / "pyvenv.cfg").write_bytes((shared / "pyvenv.cfg").read_bytes())
    for path in (shared / "bin").iterdir():
        if path.name not in executables:
            _add(path, shared, scripts)
    for name, path in executables.items():
        shutil.copyfile(path, scripts / name)
        (scripts / name).chmod(0o755)
    return scripts


def _add(path: Path, shared: Path, scripts: Path) -> None:
    """A link as it is, and a script of the environment's Python with our Python instead."""
    if path.is_symlink():
        (scripts / path.name).symlink_to(os.readlink(path))
        return
    if not path.stat().st_mode & stat.S_IXUSR:
        return
    content = path.read_bytes()
    match = _FIRST_LINES.match(content)
    if match and os.fsencode(shared / "bin" / "python") in match[0]:
        content = _interpreter(scripts / "python") + content[match.end() :]
    target = scripts / path.name
    target.write_bytes(content)
    target.chmod(0o755)


def _interpreter(python: Path) -> bytes:
    """The first lines of a script, which stay Python where the path is too long for the kernel."""
    line = f"#!{python}"
    if len(os.fsencode(line)) > _LONGEST_INTERPRETER or " " in line:
        line = f"#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''"
    return os.fsencode(line) + b"\n"

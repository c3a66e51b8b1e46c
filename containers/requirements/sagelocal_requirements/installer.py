"""The command that installs packages into an environment."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path


class InstallerMissing(Exception):
    """The environment has no pip, and there is no uv; the text says what to do."""


def has_pip() -> bool:
    """Whether this Python has pip."""
    return importlib.util.find_spec("pip") is not None


def installer(python: Path | None = None) -> list[str]:
    """pip of this Python, or uv where its environment was made without pip; to be followed by
    what is to be installed, in pip's words.

    `python` is another one that sees this one's packages. Raises InstallerMissing.
    """
    interpreter = str(python or sys.executable)
    if has_pip():
        # A container is root's and nobody's home: nothing of pip's outlives it.
        quiet = ["--disable-pip-version-check", "--no-cache-dir", "--root-user-action=ignore"]
        return [interpreter, "-m", "pip", "install", *quiet]
    # Beside this Python first: an environment may have uv and yet not be on PATH.
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    if uv := shutil.which("uv", path=places):
        return [uv, "pip", "install", "--python", interpreter]
    raise InstallerMissing(
        f"{sys.executable} has no pip, and there is no uv: add pip to the image, or install what "
        "requirements.txt names when the image is built"
    )

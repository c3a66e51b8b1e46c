"""Installs the requirements.txt that lies beside a script, before any worker starts."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import shutil
import site
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from sagelocal_serve.script.functions import ScriptError

log = logging.getLogger("sagelocal_serve")


def install(requirements: Path, folder: Path | None = None) -> None:
    """Install into this environment, or into a folder of its own if that is read-only.

    A `folder` is used in any case, made if need be, and comes first on Python's path. The
    installer's output goes to the log as it comes; raises ScriptError if it fails.
    """
    target = _target(folder)
    command = [*_installer(), "--requirement", str(requirements)]
    if target is not None:
        command += ["--target", target]
        site.addsitedir(target)
        if folder is not None:
            _prefer(target)
    log.info("Installing %s", requirements)
    status = subprocess.run(command, check=False, cwd=requirements.parent).returncode
    if status != 0:
        raise ScriptError(
            f"The packages of {requirements.name} could not be installed (exit status {status}). "
            "The lines before this one say which and why."
        )
    importlib.invalidate_caches()


def _installer() -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        pip = [sys.executable, "-m", "pip", "install"]
        return [*pip, "--no-cache-dir", "--disable-pip-version-check", "--root-user-action=ignore"]
    # Beside this Python first: an environment may have uv and yet not be on PATH.
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    if uv := shutil.which("uv", path=places):
        return [uv, "pip", "install", "--python", sys.executable]
    raise ScriptError(
        "The script's requirements.txt needs pip or uv, and this environment has neither."
    )


def _prefer(folder: str) -> None:
    """Before what the image has: a model may need another version than the others."""
    sys.path.remove(folder)
    sys.path.insert(0, folder)


def _target(folder: Path | None) -> str | None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)
    packages = sysconfig.get_path("purelib")
    if os.access(packages, os.W_OK):
        return None
    return tempfile.mkdtemp(prefix="requirements-")

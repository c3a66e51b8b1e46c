"""Installs the requirements.txt that lies beside a script, before any worker starts."""

from __future__ import annotations

import importlib
import logging
import os
import site
import subprocess
import sys
import sysconfig
import tempfile
from collections import deque
from pathlib import Path

from sagelocal_requirements import InstallerMissing, Layer, explain, installer, shelved

from sagelocal_serve.script.functions import ScriptError
from sagelocal_serve.settings import Settings

log = logging.getLogger("sagelocal_serve")

_KEPT_LINES = 200


def install(requirements: Path, settings: Settings) -> None:
    """Make what it asks for importable here, and in the workers and whatever else starts later.

    It is taken from the shelf below /opt/ml if there is one (`sagelocal_requirements`), else
    installed into this environment, or into a folder of its own if that is read-only. One model
    among many has its own packages, first on Python's path. The installer's output goes to the log
    as it comes; raises ScriptError if it fails.
    """

    def run(command: list[str]) -> None:
        _run(command, requirements)

    log.info("Installing %s", requirements)
    try:
        layer = shelved(requirements, settings.base_dir, os.environ, run)
        if layer is not None:
            _use(layer, alone=settings.packages_folder is None)
            return
        command = [*installer(), "-r", str(requirements)]
    except InstallerMissing as error:
        raise ScriptError(f"{requirements.name} cannot be installed: {error}.") from error
    target = _target(settings.packages_folder)
    if target is not None:
        command += ["--target", target]
        site.addsitedir(target)
        if settings.packages_folder is not None:
            _prefer(target)
    run(command)
    importlib.invalidate_caches()


def _use(layer: Layer, *, alone: bool) -> None:
    if alone and _is_writable():
        layer.join()
        layer.enter()
    else:
        layer.enter(first=True)


def _run(command: list[str], requirements: Path) -> None:
    last: deque[str] = deque(maxlen=_KEPT_LINES)
    with subprocess.Popen(
        command,
        cwd=requirements.parent,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            sys.stderr.write(line)
            sys.stderr.flush()
            last.append(line)
    if process.returncode != 0:
        reason = explain("".join(last)) or "The lines before this one say which and why"
        raise ScriptError(
            f"The packages of {requirements.name} could not be installed (exit status "
            f"{process.returncode}). {reason}."
        )


def _prefer(folder: str) -> None:
    """Before what the image has: a model may need another version than the others."""
    sys.path.remove(folder)
    sys.path.insert(0, folder)


def _target(folder: Path | None) -> str | None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)
    return None if _is_writable() else tempfile.mkdtemp(prefix="requirements-")


def _is_writable() -> bool:
    return os.access(sysconfig.get_path("purelib"), os.W_OK)

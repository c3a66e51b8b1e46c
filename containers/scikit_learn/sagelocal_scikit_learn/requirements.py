"""requirements.txt beside a model, also without a script, and also with another scikit-learn.

This process has imported numpy, pandas and scikit-learn when the file is installed. If it brought
other versions of them, half of what is imported later would be of those; so `serve` begins anew.
"""

from __future__ import annotations

import logging
import os
import sys
from importlib import metadata
from pathlib import Path

from sagelocal_serve import Settings
from sagelocal_serve.script.requirements import install

from sagelocal_scikit_learn.models import CODE_FOLDER

log = logging.getLogger("sagelocal_serve")

IMPORTED = ("joblib", "numpy", "pandas", "scikit-learn", "scipy")
# Where packages can only go into a new folder each time, the second start finds them changed too.
_RESTARTED = "SAGELOCAL_SCIKIT_LEARN_RESTARTED"


def imported_versions() -> dict[str, str]:
    """What is installed now of the packages that were imported already."""
    return {name: metadata.version(name) for name in IMPORTED}


def install_if_there(model_dir: Path, settings: Settings) -> None:
    """Install code/requirements.txt of a model that has no script. Raises ScriptError."""
    path = model_dir / CODE_FOLDER / "requirements.txt"
    if path.is_file():
        install(path, settings)


def restart_if_changed(before: dict[str, str]) -> None:
    """Begin `serve` anew, as the same process, if the packages are not those that it imported."""
    changed = [f"{name} {new}" for name, new in imported_versions().items() if new != before[name]]
    if not changed or os.environ.get(_RESTARTED):
        return
    log.info("Starting again with what requirements.txt brought: %s", ", ".join(changed))
    sys.stdout.flush()
    os.environ[_RESTARTED] = "1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])

"""The three kinds of entry point, and the command that runs each.

    program   train.py                       python train.py --epochs 5
    package   train.py beside a setup.py     pip install . ; python -m train --epochs 5
    command   train.sh, or anything else     /bin/sh runs ./train.sh --epochs 5

These are the training toolkit's rules. Beyond them, a name without `.py` that is no file is a
package where a pyproject.toml is there to install it.
"""

from __future__ import annotations

import enum
import logging
import os
import shlex
import stat
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from sagelocal_requirements import InstallerMissing, explain, installer, shelved

from sagelocal_train import debugger, error_text, process
from sagelocal_train.errors import CommandFailed, ScriptError

logger = logging.getLogger(__name__)

REQUIREMENTS = "requirements.txt"
_SHOWN_NAMES = 12
_SAID_BY_INSTALLER = 300
"""Characters of pip's own last words behind our explanation of them."""


class Kind(enum.Enum):
    """How an entry point is run."""

    PROGRAM = "a Python program"
    PACKAGE = "a Python package"
    COMMAND = "a command"


def kind_of(name: str, code: Path) -> Kind:
    """The kind of the entry point `name` in the folder `code`.

    Raises ScriptError, naming what is there, when there is no such entry point.
    """
    if not name.endswith(".sh") and (code / "setup.py").is_file():
        return Kind.PACKAGE
    if not (code / name).is_file():
        if not Path(name).suffix and (code / "pyproject.toml").is_file():
            return Kind.PACKAGE
        raise ScriptError(_not_there(name, code))
    return Kind.PROGRAM if name.endswith(".py") else Kind.COMMAND


def _not_there(name: str, code: Path) -> str:
    names = sorted(f"{path.name}/" if path.is_dir() else path.name for path in code.iterdir())
    shown = ", ".join(names[:_SHOWN_NAMES]) + (", ..." if len(names) > _SHOWN_NAMES else "")
    return (
        f"The entry point {name!r} is not in {code}, which holds: {shown or 'nothing'}. "
        "Name a file of the source in SAGEMAKER_PROGRAM or the hyperparameter sagemaker_program"
    )


def prepare(kind: Kind, name: str, code: Path, environment: Mapping[str, str], base: Path) -> None:
    """Install what the source declares, or make a command executable.

    What requirements.txt asks for may be kept below `base` (/opt/ml), so that the next job that
    asks for the same installs nothing; see `sagelocal_requirements`.
    """
    requirements = ["-r", REQUIREMENTS] if (code / REQUIREMENTS).is_file() else []
    at_hand = bool(requirements) and _take_from_shelf(kind, code, environment, base)
    if kind is Kind.PACKAGE:
        _install(kind, [".", *requirements], code, environment)
    elif requirements and not at_hand:
        _install(kind, requirements, code, environment)
    if debugger.is_wanted(environment):
        _prepare_debugger(kind, name, code, environment)
    if kind is Kind.COMMAND:
        path = code / name
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def _take_from_shelf(kind: Kind, code: Path, environment: Mapping[str, str], base: Path) -> bool:
    """Whether this environment has got the packages that way."""
    if not os.access(sysconfig.get_path("purelib"), os.W_OK):
        return False
    layer = shelved(
        code / REQUIREMENTS,
        base,
        environment,
        lambda command: _run_installer(kind, command, code, environment),
    )
    if layer is not None:
        layer.join()
    return layer is not None


def _prepare_debugger(kind: Kind, name: str, code: Path, environment: Mapping[str, str]) -> None:
    if kind is Kind.COMMAND:
        raise ScriptError(
            f"A debugger can wait in Python only, and {name!r} is {kind.value}; "
            f"unset {debugger.PORT_VARIABLE}"
        )
    if not debugger.is_installed(environment):
        logger.info("This image has no %s; installing it for this job", debugger.PACKAGE)
        _install(kind, [debugger.PACKAGE], code, environment)


def command(
    kind: Kind, name: str, arguments: Sequence[str], environment: Mapping[str, str] = {}
) -> list[str]:
    """The command line, to be run in the code folder."""
    if kind is Kind.COMMAND:
        # The shell runs files without a `#!` line too, and then gives its place to the command.
        return ["/bin/sh", "-c", 'exec "$0" "$@"', f"./{name}", *arguments]
    if kind is Kind.PACKAGE:
        module = name.removesuffix(".py").replace("/", ".")
        return [sys.executable, *debugger.options(environment), "-m", module, *arguments]
    return [sys.executable, *debugger.options(environment), name, *arguments]


def _install(kind: Kind, what: list[str], code: Path, environment: Mapping[str, str]) -> None:
    try:
        command = [*installer(), *what]
    except InstallerMissing as error:
        raise ScriptError(f"The source has to be installed: {error}") from error
    _run_installer(kind, command, code, environment)


def _run_installer(
    kind: Kind, command: list[str], code: Path, environment: Mapping[str, str]
) -> None:
    try:
        ended = process.run(command, code, environment)
    except OSError as error:
        raise ScriptError(f"{shlex.join(command)} cannot be started: {error}") from error
    if ended.exit_code and ended.stopped:
        raise process.Stopped(ended.exit_code)
    if ended.exit_code:
        name = "InstallModuleError" if kind is Kind.PACKAGE else "InstallRequirementsError"
        message = error_text.error_message(ended.standard_error)
        if reason := explain(ended.standard_error):
            message = f"{reason}.\n{message[-_SAID_BY_INSTALLER:]}"
        raise CommandFailed(name, ended.exit_code, message, shlex.join(command))

"""A Python debugger for the user's code: it starts when one has attached.

SAGELOCAL_DEBUGGER_PORT asks for it. debugpy, which speaks the Debug Adapter Protocol that editors
know, is taken from the image, or installed where the image has none.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Mapping

from sagelocal_train.errors import ScriptError

PORT_VARIABLE = "SAGELOCAL_DEBUGGER_PORT"
HOST_VARIABLE = "SAGELOCAL_DEBUGGER_HOST"
PACKAGE = "debugpy"

# Anybody who can reach the container; whoever publishes its port says who that is.
_DEFAULT_HOST = "0.0.0.0"
# Python's own modules would not stop at breakpoints, and debugpy would warn of it at every start.
_INTERPRETER_OPTIONS = ("-X", "frozen_modules=off")

logger = logging.getLogger(__name__)


def is_wanted(variables: Mapping[str, str]) -> bool:
    """Whether the user's code shall wait for a debugger."""
    return bool(variables.get(PORT_VARIABLE))


def is_installed(variables: Mapping[str, str]) -> bool:
    """Whether the script's Python has debugpy; asked anew, for it may just have come."""
    look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({PACKAGE!r}) is None)"
    return subprocess.run([sys.executable, "-c", look], env=dict(variables)).returncode == 0


def options(variables: Mapping[str, str]) -> list[str]:
    """What stands between `python` and the script; nothing if no debugger is wanted.

    Raises ScriptError for what is no port.
    """
    if not is_wanted(variables):
        return []
    port = variables[PORT_VARIABLE]
    if not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ScriptError(
            f"{PORT_VARIABLE} is {port!r}, which is no port; name one from 1 to 65535"
        )
    address = f"{variables.get(HOST_VARIABLE, _DEFAULT_HOST)}:{port}"
    logger.info("The script waits for a debugger on port %s", port)
    return [*_INTERPRETER_OPTIONS, "-m", PACKAGE, "--listen", address, "--wait-for-client"]

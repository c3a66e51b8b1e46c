"""`exists(name)`. The older images installed the user's script by this module; `train` and `serve`
do that here."""

from __future__ import annotations

import importlib.util

DEFAULT_MODULE_NAME = "default_user_module_name"


def exists(name: str) -> bool:
    """Whether there is a module of this name."""
    return importlib.util.find_spec(name) is not None

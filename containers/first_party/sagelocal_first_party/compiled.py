"""Functions in C, where a family was installed with a C compiler at hand (hatch_compile.py).

Where there was none, or the library does not load, there is no kernel, and numpy does the same.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np


def loaded(library: Path) -> ctypes.CDLL | None:
    """A shared library; None where there is none that this machine can load."""
    try:
        return ctypes.CDLL(str(library))
    except OSError:
        return None


def array(kind: type[np.generic]) -> Any:
    """An argument that is an array without gaps; ctypes refuses any other."""
    return np.ctypeslib.ndpointer(kind, flags="C_CONTIGUOUS")

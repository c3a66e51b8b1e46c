"""The walks down trees in C, where the package was installed with a C compiler at hand.

`walk.c` is compiled by the package's build. Where there was no compiler, or the library does not
load, there is no kernel and numpy walks instead: the same scores, later.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sagelocal_first_party.compiled import array, loaded

from sagelocal_random_cut_forest.cutting import Cuts, Floats

LIBRARY = "walk.so"
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Kernel:
    """The compiled function."""

    _sums: Callable[..., None]

    @staticmethod
    def load(library: Path) -> Kernel | None:
        """The kernel in a shared library; None where there is none that this machine can load."""
        functions = loaded(library)
        if functions is None:
            return None
        sums = functions.sums
        floats, doubles, integers = array(np.float32), array(np.float64), array(np.int32)
        sums.restype = None
        sums.argtypes = [
            *(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_double),
            *(floats, integers, integers, floats, integers, floats, integers),
            *(floats, floats, doubles, doubles),
        ]
        return Kernel(sums)

    def sums(
        self, rows: Floats, cuts: Cuts, size: int, lows: Floats, highs: Floats, lengths: Vector
    ) -> Vector:
        """Of each row, the sum of the scores of all trees, which have `size` points each."""
        totals = np.zeros(len(rows))
        self._sums(
            *(*rows.shape, len(cuts.roots), size, np.ascontiguousarray(rows, np.float32)),
            *(cuts.roots, cuts.dimensions, cuts.places, cuts.children, cuts.points, cuts.masses),
            *(lows, highs, lengths, totals),
        )
        return totals


#: What was installed with the package.
INSTALLED = Kernel.load(Path(__file__).with_name(LIBRARY))

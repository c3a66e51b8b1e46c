"""A step of training in C, where the package was installed with a C compiler at hand.

`steps.c` is compiled by the package's build. Where there was no compiler, or the library does not
load, there is no kernel and numpy steps instead: the same model but for rounding, later.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sagelocal_first_party.compiled import array, loaded
from sagelocal_formats.rows import SparseRows

from sagelocal_factorization_machines.gradients import Gradients, Vector
from sagelocal_factorization_machines.model import FactorModel
from sagelocal_factorization_machines.tables import Floats, Indices

LIBRARY = "steps.so"


@dataclass(frozen=True, slots=True)
class Kernel:
    """The compiled functions."""

    _gradients: Callable[..., int]
    _adam: Callable[..., None]

    @staticmethod
    def load(library: Path) -> Kernel | None:
        """The kernel in a shared library; None where there is none that this machine can load."""
        functions = loaded(library)
        if functions is None:
            return None
        floats, doubles = array(np.float32), array(np.float64)
        longs, integers = array(np.int64), array(np.int32)
        gradients, adam = functions.gradients, functions.adam
        gradients.restype, adam.restype = ctypes.c_int64, None
        gradients.argtypes = [
            *(ctypes.c_int64, ctypes.c_int64, ctypes.c_int32, ctypes.c_double),
            *(longs, longs, longs, floats, doubles, floats, floats, floats),
            *(integers, floats, longs, floats, floats, floats, doubles),
        ]
        adam.argtypes = [
            *(ctypes.c_int64, ctypes.c_int64),
            *(ctypes.c_float,) * 6,
            *(longs, floats, floats, floats, floats),
        ]
        return Kernel(gradients, adam)

    def batches(self, model: FactorModel, rows: SparseRows) -> CompiledBatches:
        """What gives the gradients of batches of these rows."""
        return CompiledBatches(self._gradients, model, rows)

    def adam(
        self,
        rows: Indices,
        slopes: Floats,
        state: tuple[Floats, Floats, Floats],
        *,
        rate: float,
        decay: float,
        epsilon: float,
        limit: float | None,
        momenta: tuple[float, float],
    ) -> None:
        """Change values, means and squares, the state, in these rows by their gradients."""
        most = math.inf if limit is None else limit
        self._adam(
            *(*slopes.shape, rate, decay, epsilon, most, *momenta),
            *(rows, slopes, *state),
        )


class CompiledBatches:
    """The gradients of batches of rows, entry by entry."""

    def __init__(self, gradients: Callable[..., int], model: FactorModel, rows: SparseRows) -> None:
        self._gradients = gradients
        self._model = model
        self._indptr = np.ascontiguousarray(rows.indptr, np.int64)
        self._keys = np.ascontiguousarray(rows.keys, np.int64)
        self._values = np.ascontiguousarray(rows.values, np.float32)
        self._places = np.full(model.width, -1, np.int32)

    def gradients(self, batch: Indices, labels: Vector, scale: float) -> Gradients:
        """Those of the model as it is."""
        model, width = self._model, self._model.factors.shape[1]
        entries = int((self._indptr[batch + 1] - self._indptr[batch]).sum())
        room = min(entries, model.width)
        touched, scores = np.empty(room, np.int64), np.empty(len(batch))
        bias, linear = np.empty((1, 1), np.float32), np.empty((room, 1), np.float32)
        factors = np.empty((room, width), np.float32)
        count = self._gradients(
            *(len(batch), width, model.is_binary, scale),
            *(batch, self._indptr, self._keys, self._values, labels),
            *(model.bias, model.linear, model.factors),
            *(self._places, np.empty(width, np.float32)),
            *(touched, bias, linear, factors, scores),
        )
        return Gradients(touched[:count], bias, linear[:count], factors[:count], scores)


#: What was installed with the package.
INSTALLED = Kernel.load(Path(__file__).with_name(LIBRARY))

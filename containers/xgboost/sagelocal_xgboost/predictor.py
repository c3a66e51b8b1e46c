"""Predictions without XGBoost's Python wrapper, exactly as `Booster.predict` makes them.

`Booster.predict` builds a DMatrix for every call and `inplace_predict` goes through many layers of
Python; for one row both take several times as long as the trees do. Here the same C function as
`inplace_predict`'s (XGBoosterPredictFromDense, xgboost/c_api.h) is called by hand. It wants a proxy
of a DMatrix and makes one if it is given none, for which it reads the container's processor quota
from files: half the time of a row. So proxies are kept here and used again.

    predictor = Predictor(booster)
    predictor.row(array("f", [5.1, 3.5, 1.4, 0.2]))   -> [0.99, 0.0, 0.01], one number per output
    predictor.rows(matrix)                            -> array of n or n x outputs

Missing values are NaN. Linear and DART models, and sparse rows, take the ordinary way. The booster
must not be changed as long as there is a predictor for it. Safe from any thread.
"""

from __future__ import annotations

import ctypes
import json
import weakref
from array import array
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray
from sagelocal_formats.rows import SparseRows
from xgboost.core import _LIB

from sagelocal_xgboost.matrices import Rows, dmatrix

Floats = NDArray[np.float32]

_FLOATS = ctypes.POINTER(ctypes.c_float)
_COUNTS = ctypes.POINTER(ctypes.c_uint64)

# A handle of our own: argument types that are set on it leave those of the wrapper alone.
_library = ctypes.CDLL(_LIB._name)
_predict_from_dense = _library.XGBoosterPredictFromDense
_predict_from_dense.restype = ctypes.c_int
_predict_from_dense.argtypes = [
    ctypes.c_void_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_void_p,
    ctypes.POINTER(_COUNTS),
    _COUNTS,
    ctypes.POINTER(_FLOATS),
]
_create_proxy = _library.XGProxyDMatrixCreate
_create_proxy.restype = ctypes.c_int
_create_proxy.argtypes = [ctypes.POINTER(ctypes.c_void_p)]
_free = _library.XGDMatrixFree
_free.restype = ctypes.c_int
_free.argtypes = [ctypes.c_void_p]
_last_error = _library.XGBGetLastError
_last_error.restype = ctypes.c_char_p

# The array interface, version 3 (numpy documentation, "The array interface protocol").
_INTERFACE = b'{"data":[%d,true],"shape":[%d,%d],"typestr":"<f4","version":3}'


class _Proxy:
    """The library's view of rows that lie somewhere; for one call at a time."""

    def __init__(self) -> None:
        self.handle = ctypes.c_void_p()
        _check(_create_proxy(ctypes.byref(self.handle)))
        weakref.finalize(self, _free, self.handle).atexit = False


class Predictor:
    """One booster, ready to predict on one thread of the machine per call."""

    def __init__(self, booster: xgboost.Booster) -> None:
        # One thread: workers share the processors, and threads would not survive their fork.
        booster.set_param({"nthread": 1})
        self.booster = booster
        self.width: int = booster.num_features()
        document = json.loads(booster.save_config())["learner"]
        self._is_plain = document["gradient_booster"]["name"] == "gbtree"
        self.objective: str = document["objective"]["name"]
        self.num_class = int(document["learner_model_param"]["num_class"])
        self._end = 0 if document["gradient_booster"]["name"] == "gblinear" else _rounds(booster)
        self._handle = booster.handle
        self._configuration = json.dumps(
            {
                "type": 0,
                "training": False,
                "iteration_begin": 0,
                "iteration_end": self._end,
                "missing": float("nan"),
                "strict_shape": False,
                "cache_id": 0,
            }
        ).encode()
        # Those that no call is using. Taking one and putting it back are one instruction each.
        self._proxies: list[_Proxy] = []
        # The first prediction sets the booster up; later ones only read it.
        self.row(array("f", [float("nan")] * self.width))

    def row(self, row: array[float]) -> list[float]:
        """The outputs for one row of `width` float32 ("f"): one, or one per class."""
        if not self._is_plain:
            predicted = self._by_matrix(np.array(row, np.float32).reshape(1, -1))
            return [float(value) for value in np.ravel(predicted)]
        address, width = row.buffer_info()
        values, count, _ = self._call(address, 1, width)
        found: list[float] = values[:count]
        return found

    def rows(self, rows: Rows) -> Floats:
        """The outputs for each row: n numbers, or n x classes."""
        if isinstance(rows, SparseRows) or not self._is_plain or not len(rows):
            return self._by_matrix(rows)
        rows = np.ascontiguousarray(rows, np.float32)
        values, _, shape = self._call(rows.ctypes.data, *rows.shape)
        return np.ctypeslib.as_array(values, shape).copy()

    def _call(self, address: int, rows: int, width: int) -> tuple[Any, int, tuple[int, ...]]:
        shape, dimensions, values = _COUNTS(), ctypes.c_uint64(), _FLOATS()
        try:
            proxy = self._proxies.pop()
        except IndexError:
            proxy = _Proxy()
        status = _predict_from_dense(
            self._handle,
            _INTERFACE % (address, rows, width),
            self._configuration,
            proxy.handle,
            ctypes.byref(shape),
            ctypes.byref(dimensions),
            ctypes.byref(values),
        )
        self._proxies.append(proxy)
        _check(status)
        if dimensions.value == 1:
            return values, shape[0], (shape[0],)
        return values, shape[0] * shape[1], (shape[0], shape[1])

    def _by_matrix(self, rows: Rows) -> Floats:
        found: Floats = self.booster.predict(
            dmatrix(rows, nthread=1), iteration_range=(0, self._end), validate_features=False
        )
        return found


def _check(status: int) -> None:
    if status:
        raise xgboost.core.XGBoostError(_last_error().decode(errors="replace"))


def _rounds(booster: xgboost.Booster) -> int:
    """Rounds to predict with: up to the best one where training was stopped early, else all (0).

    So do the scikit-learn wrappers, and SageMaker's image where XGBoost has told it.
    """
    best = booster.attr("best_iteration")
    return int(best) + 1 if best is not None and best.isdigit() else 0

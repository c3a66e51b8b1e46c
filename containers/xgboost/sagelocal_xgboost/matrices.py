"""Rows of numbers as XGBoost's DMatrix. Columns that a sparse row leaves out are missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray
from sagelocal_formats.rows import SparseRows
from scipy.sparse import csr_matrix

Rows = NDArray[np.float32] | SparseRows


def dmatrix(rows: Rows, **arguments: Any) -> xgboost.DMatrix:
    """The rows as a DMatrix; `arguments` are DMatrix's own (label, weight, nthread, ...)."""
    if not isinstance(rows, SparseRows):
        return xgboost.DMatrix(rows, **arguments)
    parts = (rows.values, rows.keys, rows.indptr)
    return xgboost.DMatrix(csr_matrix(parts, shape=(len(rows), rows.width)), **arguments)


def widened(rows: Rows, width: int | None) -> Rows:
    """Sparse rows with at least so many columns; the further ones are missing everywhere."""
    if not isinstance(rows, SparseRows) or width is None or rows.width >= width:
        return rows
    return SparseRows(rows.indptr, rows.keys, rows.values, width)

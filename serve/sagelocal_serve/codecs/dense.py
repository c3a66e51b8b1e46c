"""Sparse rows of a few bytes may stand for any number of zeros: here is where that ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sagelocal_formats.rows import SparseRows

from sagelocal_serve.errors import BadRequest

#: The most numbers that one request may make us allocate: a gigabyte of float32.
MAX_CELLS = 1 << 28


def to_dense(rows: SparseRows) -> NDArray[np.float32]:
    """The rows with their zeros; raises BadRequest if that is too many numbers."""
    check_cells(len(rows), rows.width)
    return rows.to_dense()


def check_cells(rows: int, columns: int) -> None:
    """Raises BadRequest for more than MAX_CELLS."""
    if rows * columns > MAX_CELLS:
        raise BadRequest(f"{rows} records of {columns} features are too many for one request.")

"""application/x-parquet: columns of numbers. Needs pyarrow, which is loaded by the first request.

Loading it takes longer than loading most models, and few callers send Parquet.
"""

from __future__ import annotations

import importlib
import importlib.util
import math

import numpy as np
from numpy.typing import NDArray
from sagelocal_formats import FormatError

from sagelocal_serve.codecs.dense import check_cells
from sagelocal_serve.errors import BadRequest

#: Whether this environment can read it.
AVAILABLE = importlib.util.find_spec("pyarrow") is not None


def decode_parquet(body: bytes) -> NDArray[np.float32]:
    """The rows, NaN where there is no value; raises BadRequest."""
    reader = importlib.import_module("sagelocal_formats.parquet")
    batches: list[NDArray[np.float32]] = []
    rows = 0
    try:
        for table in reader.read_parquet_batches(body, "the body", missing=math.nan):
            rows += len(table.rows)
            check_cells(rows, len(table.columns))
            batches.append(table.rows)
    except FormatError as error:
        raise BadRequest(f"The Parquet body cannot be read: {error}.") from error
    if not rows:
        raise BadRequest("The Parquet body has no rows.")
    return np.concatenate(batches)

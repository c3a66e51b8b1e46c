"""Joining the rows of several requests into one matrix, and splitting what was predicted for it.

For algorithms that take part in micro-batching and whose data and predictions are numpy arrays (or
mappings and tuples of them) with a row for each record.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Rows = TypeVar("Rows", bound=NDArray[Any])


def join_rows(parts: Sequence[Rows]) -> Rows:
    """One matrix with the rows of all; raises ValueError where they differ in width or type."""
    if len({(part.shape[1:], part.dtype) for part in parts}) != 1:
        raise ValueError("requests with rows of different width or type cannot be joined")
    return np.concatenate(parts)  # type: ignore[return-value]  # of the same kind as its parts


def split_rows(predictions: Any, counts: Sequence[int]) -> list[Any]:
    """The predictions of each request, by their numbers of rows; raises ValueError if not all fit.

    `predictions` is an array, or a mapping or tuple of arrays that are split alike.
    """
    if isinstance(predictions, dict):
        columns = {name: split_rows(column, counts) for name, column in predictions.items()}
        return [{name: parts[n] for name, parts in columns.items()} for n in range(len(counts))]
    if isinstance(predictions, tuple):
        return list(zip(*(split_rows(column, counts) for column in predictions), strict=True))
    if len(predictions) != sum(counts):
        raise ValueError(f"{len(predictions)} predictions for {sum(counts)} rows")
    return np.split(np.asarray(predictions), list(accumulate(counts))[:-1])

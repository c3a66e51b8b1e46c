"""Regular mode: the sum of all rows' outer products, and its largest eigenvectors.

    sum x'x - (1/n) (sum x)'(sum x)         (developer guide, "How PCA Works")

Each host sums over its rows; the sums of all hosts together are decomposed. Rows are shifted by an
approximate mean first: without that the difference of two large sums would be left with few digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sagelocal_first_party import Group, Rows
from sagelocal_first_party.rows import batches

from sagelocal_pca.hyperparameters import Settings
from sagelocal_pca.model import Projector

Floats = NDArray[np.float32]
Vector = NDArray[np.float64]

# Numbers in a block of rows: large enough for fast products, small enough for the cache.
BLOCK_CELLS = 1 << 20
LEAST_BLOCK_ROWS = 64

# Up to this width products are cheap beside reading, so they are computed in float64; beyond it in
# float32, block by block, as scikit-learn does with float32 data.
_EXACT_WIDTH = 128


def block_rows(width: int) -> int:
    """How many rows are worked on at a time."""
    return max(LEAST_BLOCK_ROWS, BLOCK_CELLS // width)


def shift_of(rows: Rows, settings: Settings, group: Group) -> Floats:
    """About the mean, the same on every host: that of the first host's first rows."""
    if not settings.subtract_mean:
        return np.zeros(rows.width, np.float32)
    first = rows.part(0, block_rows(rows.width)).mean(axis=0, dtype=np.float64)
    (shift,) = group.broadcast(first.astype(np.float32))
    return shift


@dataclass(slots=True)
class _Sums:
    """Over shifted rows."""

    total: Vector
    products: Vector


def fit(rows: Rows, settings: Settings, group: Group) -> Projector:
    """The components of all hosts' rows, on every host."""
    shift = shift_of(rows, settings, group)
    # What is not centred has one component far larger than all others, which need the digits.
    exact = rows.width <= _EXACT_WIDTH or not settings.subtract_mean
    sums = _summed(rows, shift, np.float64 if exact else np.float32)
    total, products, count = group.sum(sums.total, sums.products, np.array(float(len(rows))))
    mean = np.zeros(rows.width)
    if settings.subtract_mean:
        products -= np.outer(total, total / count)
        mean = shift + total / count
    eigenvalues, vectors = np.linalg.eigh(products)
    kept = slice(rows.width - settings.num_components, None)
    singular_values = np.sqrt(np.maximum(eigenvalues[kept], 0))
    return Projector.of(mean, vectors[:, kept], singular_values)


def _summed(rows: Rows, shift: Floats, dtype: type[np.floating[Any]]) -> _Sums:
    width = rows.width
    sums = _Sums(np.zeros(width), np.zeros((width, width)))
    for block in batches(rows, block_rows(width)):
        block -= shift
        sums.total += block.sum(axis=0, dtype=np.float64)
        factor: NDArray[Any] = block.astype(dtype, copy=False)
        sums.products += factor.T @ factor
    return sums

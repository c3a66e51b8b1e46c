"""The gradients of batches of sparse rows, for the weights that these rows touch.

A batch's entries are laid out over the features that occur in it, which are few among millions
(`tables.py`). A batch whose rows have many features is cut. `compiled.py` does the same in C.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sagelocal_formats.rows import SparseRows

from sagelocal_factorization_machines.model import FactorModel
from sagelocal_factorization_machines.tables import Floats, Indices, entries_of, laid_out

Vector = NDArray[np.float64]

_MOST_CELLS = 1 << 22
# Of so many cells of a table one is filled, at most, where sums over entries are the faster ones.
_FILLED = 16


@dataclass(frozen=True, slots=True)
class Gradients:
    """What a batch says: `linear` (touched, 1) and `factors` (touched, factors) of the features
    `touched`, each named once; `bias` (1, 1); and the score that each row has."""

    touched: Indices
    bias: Floats
    linear: Floats
    factors: Floats
    scores: Vector


class Batches(Protocol):
    """Rows, and a model that changes."""

    def gradients(self, batch: Indices, labels: Vector, scale: float) -> Gradients:
        """Of the rows `batch`, whose labels are given; errors are multiplied by the scale."""
        ...


class NumpyBatches:
    """Tables of a batch's features."""

    def __init__(self, model: FactorModel, rows: SparseRows) -> None:
        self._model = model
        self._rows = rows

    def gradients(self, batch: Indices, labels: Vector, scale: float) -> Gradients:
        """Those of the model as it is."""
        model, rows = self._model, self._rows
        width = model.factors.shape[1]
        entries = entries_of(rows, batch)
        touched = np.unique(entries.features)
        # Whether few of the rows' cells are filled.
        sparse = len(entries.values) * _FILLED < len(batch) * len(touched)
        bias = np.zeros((1, 1), np.float32)
        linear = np.zeros((len(touched), 1), np.float32)
        factors = np.zeros((len(touched), width), np.float32)
        scores = np.empty(len(batch))
        for begin, end in _cuts(rows, batch, width if sparse else None):
            features, table = laid_out(entries_of(rows, batch[begin:end]), sparse)
            own = model.factors[features]
            sums = table.times(own)
            scored = model.scores_of(table, features, own, sums)
            scores[begin:end] = scored
            # Of the cross entropy and of half the square alike.
            error = ((scored - labels[begin:end]) * scale).astype(np.float32)
            places = np.searchsorted(touched, features)
            bias[0, 0] += error.sum()
            linear[places, 0] += table.transposed_times(error)
            factors[places] += table.transposed_times(sums * error[:, None])
            factors[places] -= table.transposed_squares_times(error)[:, None] * own
        return Gradients(touched, bias, linear, factors, scores)


def _cuts(rows: SparseRows, batch: Indices, factors: int | None) -> Iterator[tuple[int, int]]:
    """The batch in pieces whose tables are not too large, a row at least.

    A dense table has as many columns as entries at most; a sparse one, of which the number of
    factors is given, so many numbers for each entry.
    """
    lengths = rows.indptr[batch + 1] - rows.indptr[batch]
    begin = entries = 0
    for end, length in enumerate(lengths.tolist()):
        each = end + 1 - begin if factors is None else factors
        if end > begin and (entries + length) * each > _MOST_CELLS:
            yield begin, end
            begin, entries = end, 0
        entries += length
    yield begin, len(batch)

"""Fewer features by a random projection that keeps distances, about.

    sign   a matrix of random signs
    fjlt   random signs, a Walsh-Hadamard transform, and some of its outcomes: faster for many
           features (Ailon and Chazelle, "The fast Johnson-Lindenstrauss transform")

A projection is what its kind, seed and sizes say, so the artifact holds no matrix.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sagelocal_knn.hyperparameters import Reduction

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Projection:
    """From `input_dim` features to `target_dim`."""

    kind: Reduction
    seed: int
    input_dim: int
    target_dim: int

    def __call__(self, rows: Floats) -> Floats:
        """The projected rows."""
        if self.kind == "sign":
            return rows @ _matrix(self)
        signs, kept = _transform(self)
        mixed = np.zeros((len(rows), _power_of_two(self.input_dim)), np.float32)
        mixed[:, : self.input_dim] = rows * signs
        _hadamard(mixed)
        return mixed[:, kept] / np.float32(np.sqrt(self.target_dim))


@lru_cache(maxsize=4)
def _matrix(projection: Projection) -> Floats:
    """The random signs of `sign`, scaled: input x target."""
    random = np.random.default_rng(projection.seed)
    signs = _signs(random, (projection.input_dim, projection.target_dim))
    return signs / np.float32(np.sqrt(projection.target_dim))


@lru_cache(maxsize=4)
def _transform(projection: Projection) -> tuple[Floats, NDArray[np.int64]]:
    """The random signs of `fjlt`, one per feature, and which outcomes are kept."""
    random = np.random.default_rng(projection.seed)
    signs = _signs(random, (projection.input_dim,))
    length = _power_of_two(projection.input_dim)
    return signs, random.choice(length, projection.target_dim, replace=False)


def _power_of_two(width: int) -> int:
    """The least one that is not less."""
    return 1 << (width - 1).bit_length()


def _signs(random: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    return random.integers(0, 2, shape, np.int8).astype(np.float32) * 2 - 1


def _hadamard(rows: Floats) -> None:
    """The Walsh-Hadamard transform of each row, in place; their width is a power of two."""
    step = 1
    while step < rows.shape[1]:
        pairs = rows.reshape(len(rows), -1, 2, step)
        first, second = pairs[:, :, 0].copy(), pairs[:, :, 1]
        pairs[:, :, 0] += second
        pairs[:, :, 1] = first - second
        step *= 2

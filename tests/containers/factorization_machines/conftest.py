"""Where Factorization Machines is, and rows with pairs in them to be learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sagelocal_factorization_machines import compiled
from sagelocal_factorization_machines.compiled import Kernel
from sagelocal_formats.record_protobuf import SparseRows, encode_sparse


@pytest.fixture(scope="session")
def family() -> Path:
    """The family's folder."""
    return Path(__file__).parents[3] / "containers" / "factorization_machines"


@pytest.fixture(scope="session")
def kernel(family: Path, built_package: Callable[..., Path]) -> Kernel:
    """The compiled steps, as an installation has them."""
    loaded = Kernel.load(built_package(family) / compiled.LIBRARY)
    assert loaded is not None
    return loaded


@dataclass(frozen=True)
class Ratings:
    """Who rates what: two ones to a row, a user's and an item's."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    scores: NDArray[np.float64]
    width: int

    def part(self, start: int, stop: int) -> Ratings:
        chosen = slice(start, stop)
        return Ratings(self.users[chosen], self.items[chosen], self.scores[chosen], self.width)

    @property
    def sparse(self) -> SparseRows:
        keys = np.column_stack([self.users, self.items]).reshape(-1)
        indptr = np.arange(0, len(keys) + 1, 2)
        return SparseRows(indptr, keys, np.ones(len(keys), np.float32), self.width)

    @property
    def dense(self) -> NDArray[np.float32]:
        rows = np.zeros((len(self.users), self.width), np.float32)
        at = np.arange(len(rows))
        rows[at, self.users] = rows[at, self.items] = 1
        return rows

    def records(self, labels: NDArray[np.float64]) -> bytes:
        return encode_sparse(self.sparse, labels.astype(np.float32))


NOISE = 0.1


@pytest.fixture(scope="session")
def ratings() -> Ratings:
    """6,000 ratings of 60 users for 50 items: biases, tastes of two numbers, and a little noise."""
    random = np.random.default_rng(2)
    users, items = random.integers(0, 60, 6000), random.integers(0, 50, 6000)
    taste, kind = random.normal(size=(60, 2)), random.normal(size=(50, 2))
    liked = (taste[users] * kind[items]).sum(axis=1)
    scores = 3 + random.normal(0, 0.5, 60)[users] + random.normal(0, 0.5, 50)[items] + liked
    return Ratings(users, 60 + items, scores + random.normal(0, NOISE, 6000), 110)

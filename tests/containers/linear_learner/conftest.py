"""Where Linear Learner is, and data for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture(scope="session")
def family() -> Path:
    """The family's folder."""
    return Path(__file__).parents[3] / "containers" / "linear_learner"


@pytest.fixture(scope="session")
def csv_text() -> Callable[[NDArray[Any], NDArray[Any]], str]:
    """Labels and features as a CSV without a header."""

    def text(labels: NDArray[Any], features: NDArray[Any]) -> str:
        table = np.column_stack([labels, features]).tolist()
        return "".join(",".join(map(repr, row)) + "\n" for row in table)

    return text


@pytest.fixture(scope="session")
def salaries() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fourteen rows: months of experience, and the salary they bring."""
    rng = np.random.default_rng(7)
    months = rng.integers(7, 95, 14).astype(np.float64)
    return np.round(1000 + 8 * months + rng.normal(0, 70, 14)), months[:, None]

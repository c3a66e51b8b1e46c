"""Where Random Cut Forest is, and what its build makes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sagelocal_random_cut_forest import compiled


@pytest.fixture(scope="session")
def family() -> Path:
    """The family's folder."""
    return Path(__file__).parents[3] / "containers" / "random_cut_forest"


@pytest.fixture(scope="session")
def library(family: Path, built_package: Callable[..., Path]) -> Path:
    """The compiled walks, as an installation has them."""
    return built_package(family) / compiled.LIBRARY

"""Where Random Cut Forest is."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def family() -> Path:
    """The family's folder."""
    return Path(__file__).parents[3] / "containers" / "random_cut_forest"

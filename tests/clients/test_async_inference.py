"""Asynchronous inference by the SageMaker SDK's AsyncPredictor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(600)]

PROGRAM = Path(__file__).parent / "asynchronous" / "notebook.py"


def test_the_sdk_asks_waits_and_learns_of_failures(terminal: Any) -> None:
    report, _ = terminal.notebook(PROGRAM)

    assert report["answer"] == {"sum": 6.5, "type": "text/csv"}
    assert report["later"] == {"sum": 9.0, "type": "text/csv"}
    assert "could not convert string to float" in report["failure"]

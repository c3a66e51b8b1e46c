"""Streams and pipelines by the SageMaker SDK. The AWS CLI has no command for streams."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(600)]

NOTEBOOK = Path(__file__).parent / "hosting" / "notebook.py"


def test_the_sdk_reads_streams_and_calls_pipelines(terminal: Any) -> None:
    report, _ = terminal.notebook(NOTEBOOK)

    assert report["lines"] == ["line 0", "line 1", "line 2"]
    scores = [each["score"] for each in report["answer"]["predictions"]]
    assert scores == pytest.approx([10, 110], rel=0.1)
    assert 'Received client error (400) from container-2 with message "' in report["refusal"]
    assert "Row 1, column 1 of the CSV body is 'no number', no number." in report["refusal"]

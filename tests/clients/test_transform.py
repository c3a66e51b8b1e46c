"""Batch transform by the SageMaker SDK's Transformer and the AWS CLI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(600)]

NOTEBOOK = Path(__file__).parent / "transform" / "notebook.py"


def test_the_sdk_transforms_joins_attaches_and_is_told_what_failed(place: Any) -> None:
    report, output = place.notebook(NOTEBOOK)

    joined = report["joined"]
    assert list(joined) == ["a.csv.out", "more/b.csv.out"]
    scores = [line.split(",") for lines in joined.values() for line in lines]
    assert [name for name, _ in scores] == ["first", "second", "third"]
    assert [float(score) > 0.5 for _, score in scores] == [True, False, True]
    assert "MaxPayloadInMB=1, BatchStrategy=MULTI_RECORD" in output
    assert report["attached"][0].endswith("/batch/answers")
    assert report["attached"][1] == "Line"
    assert "Bad HTTP status received from algorithm: 400" in report["refused"]
    assert report["cli"] == ["Failed", "Completed"]

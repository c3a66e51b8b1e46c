"""Spark ML pipelines as users have them: the SDK's SparkMLModel, alone and in a PipelineModel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(600)]

NOTEBOOK = Path(__file__).parent / "sparkml" / "notebook.py"


@pytest.fixture(scope="module")
def report(place: Any) -> Any:
    """What the notebook reported on each runtime in turn."""
    return place.notebook(NOTEBOOK)[0]


def test_a_pipeline_answers_alone(report: dict[str, Any]) -> None:
    assert report["image"].endswith("/sagemaker-sparkml-serving:2.4")
    assert report["csv"] == "1.0,0.5"
    assert report["one"] == "1.0"
    assert report["text"] == ["application/jsonlines", '{"source":"0.0 2.0"}']


def test_what_is_wrong_is_said_in_words(report: dict[str, Any]) -> None:
    status, message = report["error"]

    assert status == 400
    assert message.startswith("Unseen label: X.")


def test_its_answer_goes_into_the_next_model(report: dict[str, Any]) -> None:
    assert report["pipeline"] == pytest.approx([13.0])

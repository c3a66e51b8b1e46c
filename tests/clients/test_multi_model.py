"""Multi-model endpoints by the SageMaker SDK's MultiDataModel, the AWS CLI and boto3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(600)]

NOTEBOOK = Path(__file__).parent / "multi_model" / "notebook.py"


def test_the_sdk_deploys_adds_lists_and_calls_models(place: Any) -> None:
    report, _ = place.notebook(NOTEBOOK)

    assert report["added"].endswith("/mme/models/two.tar.gz")
    assert report["listed"] == ["five.tar.gz", "two.tar.gz"]
    assert report["scores"] == pytest.approx([8, 20, 8], rel=0.1)
    assert report["cli"] == pytest.approx(20, rel=0.1)
    missing, unknown = report["refusals"]
    assert (missing["Code"], unknown["Code"]) == ("ValidationError", "ValidationError")
    assert missing["Message"].endswith("is missing a target model header.")
    assert "key: mme/models/nobody.tar.gz" in unknown["Message"]
    assert report["scripts"] == ["ant 1,2", "bee 1,2"]

"""scikit-learn as users have it: the SDK's SKLearn and SKLearnModel, boto3 and the AWS CLI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(600)]

HERE = Path(__file__).parent / "scikit_learn"
NOTEBOOK = HERE / "notebook.py"


def test_a_script_trains_and_its_model_answers(place: Any) -> None:
    report, _ = place.notebook(NOTEBOOK, "script")

    assert report["image"].endswith("/sagemaker-scikit-learn:1.2-1-cpu-py3")
    assert report["metrics"]["accuracy"] > 0.95
    assert report["npy"] == ["setosa", "versicolor", "virginica"]
    assert report["csv"] == [["setosa"], ["virginica"]]


def test_saved_models_are_served_without_a_script(place: Any, tmp_path: Path) -> None:
    report, _ = place.notebook(NOTEBOOK, "saved")

    assert report["plain"] is True
    assert report["named"] == pytest.approx(report["names"])
    status, message = report["text/csv 1,2"]
    assert status == 400
    assert "the model takes rows of 4 features" in message
    status, message = report["application/xml <a/>"]
    assert status == 415
    assert "application/xml" in message
    assert report["text/csv 1\n2,3"][0] == 400

    rows, answer = tmp_path / "rows.csv", tmp_path / "answer.json"
    rows.write_text("city,age\nRome,32\n")
    place.sagelocal(
        *("exec", "--", place.programs / "aws", "sagemaker-runtime", "invoke-endpoint"),
        *("--endpoint-name", report["endpoint"], "--content-type", "text/csv"),
        *("--body", f"fileb://{rows}", answer),
    )
    printed = place.sagelocal("invoke", f"@{rows}", "--to", report["endpoint"])
    assert json.loads(printed) == pytest.approx(report["names"][1:2])
    refused = place.sagelocal("invoke", "city\nRome", "--to", report["endpoint"], check=False)
    assert refused.startswith("Error: 400 BadRequestException: The rows of the CSV body have")
    place.sagelocal(
        *("exec", "--", place.programs / "aws", "sagemaker", "delete-endpoint"),
        *("--endpoint-name", report["endpoint"]),
    )
    assert json.loads(answer.read_text()) == pytest.approx(report["names"][1:2])


def test_what_fails_says_why(place: Any) -> None:
    report, _ = place.notebook(NOTEBOOK, "failing")

    assert "ValueError: the third row has no label" in report["raising.py"]
    assert "SyntaxError: invalid syntax" in report["broken.py"]
    assert "absent.py" in report["absent.py"]
    assert "broken.py" in report["absent.py"]  # what is there instead
    assert "There is no scikit-learn model among: notes.md, weights.bin" in report["no model"]
    assert "SyntaxError: invalid syntax (inference.py, line 1)" in report["syntax error"]
    assert "ZeroDivisionError: division by zero" in report["raising"]


@pytest.mark.docker
def test_it_runs_in_the_sdks_own_local_mode(framework_local_mode: Any, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    rows = [(0, 5.1, 3.5, 1.4, 0.2), (1, 6.4, 3.2, 4.5, 1.5), (2, 6.3, 3.3, 6.0, 2.5)] * 4
    (data / "iris.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    last = framework_local_mode(HERE / "local_mode.py", tmp_path, data)
    assert last == "['setosa', 'virginica']"

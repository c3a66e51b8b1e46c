"""TensorFlow as users have it: the SDK's TensorFlow, TensorFlowModel and TensorFlowPredictor."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(900)]

HERE = Path(__file__).parent / "tensorflow"


@pytest.fixture(scope="module")
def report(place: Any) -> Any:
    """What the notebook reported on each runtime in turn."""
    return place.notebook(HERE / "notebook.py")[0]


def test_a_script_trains_under_the_estimator(report: dict[str, Any]) -> None:
    assert "/tensorflow-training:2.12.0-cpu-py310" in report["image"]
    assert report["loss"] < 1e-4
    assert report["model_dir"].startswith("s3://")
    assert report["model_dir"].endswith("/model")


def test_its_models_are_served_by_name_and_version(report: dict[str, Any]) -> None:
    assert report["predictor"] == "TensorFlowPredictor"
    assert report["default"] == {"predictions": [2.5, 3.0, 4.5]}
    expected = pytest.approx([0.5, 1.5], abs=0.02)
    assert [row[0] for row in report["plane"]] == expected
    assert [row[0] for row in report["csv"]] == expected
    assert report["array"][0][0] == pytest.approx(2.5, abs=0.02)


def test_what_the_caller_did_wrong_comes_in_tensorflow_servings_shape(
    report: dict[str, Any],
) -> None:
    status, answer = report["signature"]
    assert status == 400
    assert 'Serving signature name: "absent" not found' in answer["error"]
    status, answer = report["shape"]
    assert status == 400
    assert "was given values of shape [1, 3]" in answer["error"]
    status, answer = report["regress"]
    assert status == 400
    assert "Expected regress signature" in answer["error"]
    status, answer = report["type"]
    assert status == 415
    assert "Unsupported Media Type: application/xml" in answer["error"]


def test_a_script_stands_before_and_behind_the_model(report: dict[str, Any]) -> None:
    assert report["scripted"] == {"predictions": [2.5, 3.0], "model": None}


def test_another_frameworks_model_says_whose_it_is(report: dict[str, Any]) -> None:
    assert "no SavedModel bundles found" in report["other"]
    assert "deploy it with PyTorchModel" in report["other"]


@pytest.mark.docker
def test_it_runs_in_the_sdks_own_local_mode(framework_local_mode: Any, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "points.csv").write_text("1.0,0.5,0.5\n2.0,1.0,0.5\n0.0,0.0,0.5\n" * 6)
    last = framework_local_mode(HERE / "local_mode.py", tmp_path, data)
    assert ast.literal_eval(last) == {"predictions": [2.5, 3.0, 4.5]}

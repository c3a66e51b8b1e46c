"""Hugging Face as users have it: the SDK's HuggingFace and HuggingFaceModel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(900)]

HERE = Path(__file__).parent / "hugging_face"
NOTEBOOK = HERE / "notebook.py"


def test_a_trainer_trains_and_its_model_answers_by_its_task_and_by_a_script(place: Any) -> None:
    report, printed = place.notebook(NOTEBOOK, "train")

    image = "/huggingface-pytorch-training:1.13.1-transformers4.26.0-gpu-py39-cu117-ubuntu20.04"
    assert report["image"].endswith(image)
    assert "asks for transformers 4.26.0; sagelocal/hugging-face:1" in printed
    assert report["metrics"]["accuracy"] > 0.9, printed
    (one,) = report["one"]
    assert one["label"] == "POSITIVE"
    assert [each["label"] for each in report["both"]] == ["NEGATIVE", "POSITIVE"]
    assert report["own"] == ["positive", "negative"]
    assert report["no parameters"][0] == 400
    assert "is a int, and must be an object" in report["no parameters"][1]
    assert report["no json"][0] == 400
    assert report["type"][0] == 415


def test_what_fails_says_why(place: Any) -> None:
    report, _ = place.notebook(NOTEBOOK, "failing")

    assert "HF_MODEL_ID=nobodys/model-of-nobody cannot be fetched" in report["hub"]
    assert "model.tar.gz" in report["hub"]
    assert "its folder holds: model.joblib" in report["another framework"]
    assert "There are no weights of PyTorch among: config.json" in report["no weights"]
    assert "'BertModel' of config.json does not say" in report["no task"]
    assert "set HF_TASK" in report["no task"]
    for reason in (report["TensorFlow"], report["training on TensorFlow"]):
        assert "pytorch_version in place of tensorflow_version" in reason


@pytest.mark.docker
def test_it_runs_in_the_sdks_own_local_mode(framework_local_mode: Any, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    rows = "this film was good,1\nthe story was bad,0\n" * 8
    (data / "reviews.csv").write_text(f"text,label\n{rows}")
    last = framework_local_mode(HERE / "local_mode.py", tmp_path, data)
    assert json.loads(last) == ["POSITIVE", "NEGATIVE"]

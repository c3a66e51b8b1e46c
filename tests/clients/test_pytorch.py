"""PyTorch as users have it: the SDK's PyTorch and PyTorchModel, and boto3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(900)]

HERE = Path(__file__).parent / "pytorch"
NOTEBOOK = HERE / "notebook.py"


def test_a_script_trains_and_its_model_answers_with_and_without_a_script(place: Any) -> None:
    report, printed = place.notebook(NOTEBOOK, "script")

    assert report["image"].endswith("/pytorch-training:1.13.1-cpu-py39")
    assert report["metrics"]["accuracy"] > 0.95, printed
    assert report["own"] == ["setosa", "versicolor", "virginica"]
    assert report["npy"] == report["csv"] == report["json"] == [0, 2]
    status, message = report["wrong width"]
    assert status == 400
    assert "The model takes no tensor of shape (2,) and type torch.float32" in message
    assert report["wrong type"][0] == 415
    assert report["text"][0] == 400
    assert report["wrong accept"][0] == 406


def test_two_hosts_learn_together_under_torchrun(place: Any) -> None:
    report, printed = place.notebook(NOTEBOOK, "distributed")

    assert report["size"] == 2, printed
    assert report["weights"] == pytest.approx([1.0, 2.0], abs=0.01)
    assert "torchrun --nnodes 2 --nproc_per_node 1 --master_addr algo-1" in printed


def test_what_fails_says_why(place: Any) -> None:
    report, _ = place.notebook(NOTEBOOK, "failing")

    assert "RuntimeError: mat1 and mat2 shapes cannot be multiplied" in report["raising.py"]
    assert "SyntaxError: invalid syntax" in report["broken.py"]
    assert "There is no PyTorch model among: model.joblib, notes.md" in report["another framework"]
    assert "define model_fn in code/inference.py" in report["another framework"]
    assert "model.pt is no file that PyTorch saved" in report["no file of PyTorch"]
    assert "SyntaxError: invalid syntax (inference.py, line 1)" in report["syntax error"]


@pytest.mark.docker
def test_it_runs_in_the_sdks_own_local_mode(framework_local_mode: Any, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    rows = [(0, 5.1, 3.5, 1.4, 0.2), (1, 6.4, 3.2, 4.5, 1.5), (2, 6.3, 3.3, 6.0, 2.5)] * 4
    (data / "iris.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in rows))
    last = framework_local_mode(HERE / "local_mode.py", tmp_path, data)
    assert last == "[0, 2]"

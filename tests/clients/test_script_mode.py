"""Script mode as users have it: the SDK packs a folder into S3, the job's container fetches it."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(600)]

HERE = Path(__file__).parent / "script"
NOTEBOOK = HERE / "notebook.py"
GREETING = "def hello(name):\n    return f'hello {name}'\n"


def make_wheel(folder: Path) -> str:
    """A package of our own that needs no index; its file's name."""
    name = "greeting-1.0-py3-none-any.whl"
    meta = "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n"
    wheel = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr("greeting.py", GREETING)
        archive.writestr("greeting-1.0.dist-info/METADATA", meta)
        archive.writestr("greeting-1.0.dist-info/WHEEL", wheel)
        archive.writestr("greeting-1.0.dist-info/RECORD", "")
    return name


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The user's folder, with a requirements.txt that names a package beside it."""
    folder = tmp_path / "source"
    shutil.copytree(HERE / "source", folder)
    (folder / "requirements.txt").write_text(f"./{make_wheel(folder)}\n")
    return folder


def test_the_generic_estimator_runs_a_folder_with_requirements(place: Any, source: Path) -> None:
    report, printed = place.notebook(NOTEBOOK, "estimator", "train.py", source)

    assert report["status"] == "Completed", printed
    submitted = json.loads(report["hyperparameters"]["sagemaker_submit_directory"])
    assert submitted.startswith("s3://")
    assert submitted.endswith("/source/sourcedir.tar.gz")
    assert json.loads(report["model"]["model.json"]) == {
        "sum": 6.5,
        "epochs": 3,
        "greeting": "hello you and me",
    }
    assert "--epochs 3 --name 'you and me'" in printed


def test_a_shell_script_is_an_entry_point(place: Any, source: Path) -> None:
    report, printed = place.notebook(NOTEBOOK, "estimator", "train.sh", source)

    assert report["status"] == "Completed", printed
    assert report["model"] == {"rows.csv": "1\n2\n3.5\n"}
    assert "arguments: --epochs 3 --name you and me" in printed


def test_what_one_job_installed_the_next_one_does_not_have(place: Any, source: Path) -> None:
    place.notebook(NOTEBOOK, "estimator", "train.py", source)
    (source / "requirements.txt").unlink()

    report, printed = place.notebook(NOTEBOOK, "estimator", "train.py", source)

    assert report["status"] == "Failed", printed
    assert "ModuleNotFoundError: No module named 'greeting'" in report["error"]


def test_a_framework_estimator_trains_and_its_model_answers(place: Any, source: Path) -> None:
    report, printed = place.notebook(NOTEBOOK, "mxnet", "train.py", source, "deploy")

    assert report["status"] == "Completed", printed
    assert json.loads(report["hyperparameters"]["sagemaker_program"]) == "train.py"
    assert report["answer"] == {"answer": 36.5, "greeting": "hello you and me"}


def test_with_network_isolation_the_source_comes_as_a_channel(place: Any, source: Path) -> None:
    (source / "requirements.txt").unlink()

    report, printed = place.notebook(NOTEBOOK, "estimator", "train.sh", source, "isolated")

    assert report["status"] == "Completed", printed
    submitted = json.loads(report["hyperparameters"]["sagemaker_submit_directory"])
    assert submitted == "/opt/ml/input/data/code/sourcedir.tar.gz"


def test_a_package_with_setup_py_is_installed_and_run(terminal: Any) -> None:
    report, printed = terminal.notebook(NOTEBOOK, "estimator", "main.py", HERE / "package")

    assert report["status"] == "Completed", printed
    assert report["model"] == {"words.txt": "imported from the installed package"}

"""sagelocal_train reads each golden /opt/ml tree as scripts and algorithms expect."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

HERE = Path(__file__).parent
CASES = sorted(path.parent for path in HERE.glob("cases/*/case.json"))
FOREIGN = sorted(path.parent for path in HERE.glob("foreign/*/case.json"))


@pytest.fixture(scope="module")
def reader() -> ModuleType:
    """The script that reads a job in a process of its own."""
    spec = importlib.util.spec_from_file_location("read_job", HERE / "read_job.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _json(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


@pytest.mark.parametrize("folder", [*CASES, *FOREIGN], ids=lambda folder: folder.name)
def test_a_job_is_read_as_scripts_expect(folder: Path, reader: ModuleType, tmp_path: Path) -> None:
    read = reader.read_in_own_process(_json(folder / "case.json"), tmp_path)

    assert _json(folder / "expected.json") == read


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_the_request_is_one_that_the_api_takes(folder: Path) -> None:
    model = botocore.session.get_session().get_service_model("sagemaker")
    shape = model.operation_model("CreateTrainingJob").input_shape
    assert shape is not None

    report = ParamValidator().validate(_json(folder / "case.json")["request"], shape)

    assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_hyperparameters_are_strings_as_in_the_request(folder: Path) -> None:
    case = _json(folder / "case.json")

    written = case["files"]["input/config/hyperparameters.json"]

    assert case["request"].get("HyperParameters", {}) == written
    assert all(isinstance(value, str) for value in written.values())


@pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)
def test_the_host_is_one_of_the_sorted_hosts(folder: Path) -> None:
    case = _json(folder / "case.json")
    resources = case["files"]["input/config/resourceconfig.json"]

    assert case["host"] == resources["current_host"]
    assert sorted(case["hosts"]) == resources["hosts"]
    assert case["host"] in case["hosts"]

"""The golden /opt/ml trees, as the control plane writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sagelocal.domain.names import Scope
from sagelocal.domain.training_spec import TrainingSpec
from sagelocal.engine.opt_ml import OptMl, environment

CASES = sorted((Path(__file__).parents[3] / "contract" / "cases").glob("*/case.json"))


@pytest.fixture(params=CASES, ids=lambda path: path.parent.name)
def case(request: pytest.FixtureRequest) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(request.param.read_text())
    return document


def test_there_are_golden_trees() -> None:
    assert CASES


def test_writes_exactly_the_golden_configuration(case: dict[str, Any], tmp_path: Path) -> None:
    spec = TrainingSpec.of(case["request"])
    host = next(host for host in spec.hosts if host.name == case["host"])
    OptMl(tmp_path).prepare(spec, host)

    assert sorted(case["hosts"]) == [host.name for host in spec.hosts]
    assert case["files"] == {
        path.relative_to(tmp_path).as_posix(): json.loads(path.read_text())
        for path in tmp_path.rglob("*")
        if path.is_file()
    }


def test_gives_exactly_the_golden_environment(case: dict[str, Any]) -> None:
    scope, name = Scope(**case["scope"]), case["request"]["TrainingJobName"]
    arn = scope.sagemaker_arn("training-job", name)
    spec = TrainingSpec.of(case["request"])
    assert case["environment"] == environment(spec, name, arn, scope.region)


def test_a_job_cannot_pass_for_another(case: dict[str, Any]) -> None:
    request = {**case["request"], "Environment": {"TRAINING_JOB_NAME": "other", "AWS_REGION": "x"}}
    found = environment(TrainingSpec.of(request), "mine", "arn", "us-east-1")
    assert found["TRAINING_JOB_NAME"] == "mine"
    assert found["AWS_REGION"] == "x"


def test_the_parts_are_mounted_one_by_one(tmp_path: Path) -> None:
    assert [
        (m.source.relative_to(tmp_path).as_posix(), m.target) for m in OptMl(tmp_path).mounts()
    ] == [
        ("input", "/opt/ml/input"),
        ("model", "/opt/ml/model"),
        ("output", "/opt/ml/output"),
    ]

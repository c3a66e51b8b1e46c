"""XGBoost's own collective over two hosts: names and ports are all that it needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/test-xgboost:1"


@pytest.mark.slow
def test_two_hosts_train_one_xgboost_model(start_training: Callable[..., Any]) -> None:
    training = start_training(containers_dir=str(Path(__file__).parent / "collective"))
    training.create(
        "boosted",
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1},
    )
    job = training.await_that(
        "boosted", lambda job: job["TrainingJobStatus"] not in ("InProgress", "Stopping"), 180
    )

    assert job["TrainingJobStatus"] == "Completed", job
    said = sorted(line for line in training.lines("boosted") if line.startswith("rank "))
    model = said[0].rpartition(" ")[2]
    assert said == [f"rank {number} sum 3 error True model {model}" for number in (0, 1)]
    files = training.archive(job["ModelArtifacts"]["S3ModelArtifacts"])
    assert list(files) == ["model.json"]

"""What a CreateTrainingJob request asks for, and what is refused at once."""

from __future__ import annotations

from typing import Any

import pytest
from sagelocal.domain.training_spec import Host, TrainingSpec


def request(**changes: Any) -> dict[str, Any]:
    base = {
        "TrainingJobName": "job",
        "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/prefix/"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2},
    }
    return {name: value for name, value in {**base, **changes}.items() if value is not None}


def channel(**changes: Any) -> dict[str, Any]:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/p"}}
    return {"ChannelName": "train", "DataSource": source, **changes}


def test_hosts_are_numbered_through_the_instance_groups() -> None:
    groups = [
        {"InstanceGroupName": "cpu", "InstanceType": "ml.m5.large", "InstanceCount": 2},
        {"InstanceGroupName": "gpu", "InstanceType": "ml.g5.xlarge", "InstanceCount": 1},
    ]
    spec = TrainingSpec.of(request(ResourceConfig={"InstanceGroups": groups}))
    assert spec.hosts == (
        Host("algo-1", "cpu", "ml.m5.large"),
        Host("algo-2", "cpu", "ml.m5.large"),
        Host("algo-3", "gpu", "ml.g5.xlarge"),
    )


@pytest.mark.parametrize(
    ("path", "output"),
    [
        ("s3://bucket/prefix/", "s3://bucket/prefix/job/output"),
        ("s3://bucket/a/b", "s3://bucket/a/b/job/output"),
        ("s3://bucket", "s3://bucket/job/output"),
        ("s3://bucket/", "s3://bucket/job/output"),
    ],
)
def test_output_goes_below_the_name_of_the_job(path: str, output: str) -> None:
    spec = TrainingSpec.of(request(OutputDataConfig={"S3OutputPath": path}))
    assert str(spec.job_output("job")) == output


def test_a_job_may_run_for_a_day_unless_told() -> None:
    assert TrainingSpec.of(request()).max_runtime_seconds == 86_400


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"AlgorithmSpecification": {"TrainingInputMode": "File"}}, "exactly one of TrainingImage"),
        (
            {"AlgorithmSpecification": {"AlgorithmName": "mine", "TrainingInputMode": "File"}},
            "Algorithm 'mine' does not exist",
        ),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 9, "MaxWaitTimeInSeconds": 9}},
            "It is only supported when EnableManagedSpotTraining is set to true",
        ),
        (
            {
                "EnableManagedSpotTraining": True,
                "StoppingCondition": {"MaxRuntimeInSeconds": 9, "MaxWaitTimeInSeconds": 8},
            },
            "must be present and be greater than or equal to MaxRuntimeInSeconds",
        ),
        ({"ResourceConfig": None}, "InstanceType and InstanceCount, or InstanceGroups"),
        (
            {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 0}},
            "Value '0' at 'resourceConfig.instanceCount' failed to satisfy constraint",
        ),
        (
            {
                "ResourceConfig": {
                    "InstanceGroups": [
                        {
                            "InstanceGroupName": "cpu",
                            "InstanceType": "ml.m5.large",
                            "InstanceCount": 1,
                        }
                    ]
                    * 2
                }
            },
            r"instance group names must be unique, got \['cpu', 'cpu'\]",
        ),
        ({"InputDataConfig": [channel(), channel()]}, r"given twice: \['train'\]"),
        (
            {"InputDataConfig": [channel(DataSource={"FileSystemDataSource": {}})]},
            "Channel 'train' needs an S3DataSource",
        ),
        (
            {"OutputDataConfig": {"S3OutputPath": "https://bucket/x"}},
            "Invalid S3 URI 'https://bucket/x'",
        ),
        (
            {
                "AlgorithmSpecification": {
                    "TrainingImage": "image",
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "loss", "Regex": "loss=("}],
                }
            },
            r"Invalid Regex 'loss=\(' of metric 'loss'",
        ),
        (
            {
                "AlgorithmSpecification": {
                    "TrainingImage": "image",
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "loss", "Regex": "a{99999999999}"}],
                }
            },
            r"Invalid Regex 'a\{9+\}' of metric 'loss'.*too large",
        ),
        (
            {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1_000_000_000}},
            "1000000000 instances; sagelocal runs at most 100",
        ),
    ],
)
def test_refuses_what_cannot_be_run(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingSpec.of(request(**changes))

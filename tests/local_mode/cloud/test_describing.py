"""Descriptions as spec files: reading them gives the same request again."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from sagelocal.cloud.describing import endpoint_toml, left_out, toml_of, training_toml
from sagelocal.cloud.plan import Place, plan_of
from sagelocal.cloud.spec import EndpointSpec, Instances, Serverless, read_spec
from sagelocal.domain.names import S3Uri

ROLE = "arn:aws:iam::123456789012:role/Worker"
JOB: dict[str, Any] = {
    "TrainingJobName": "j",
    "AlgorithmSpecification": {
        "TrainingImage": "i",
        "TrainingInputMode": "FastFile",
        "MetricDefinitions": [{"Name": "train:loss", "Regex": r'loss="(\S+)"'}],
    },
    "RoleArn": ROLE,
    "InputDataConfig": [
        {
            "ChannelName": "train.set",
            "DataSource": {
                "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": "s3://b/in",
                    "S3DataDistributionType": "ShardedByS3Key",
                }
            },
            "ContentType": "text/csv",
            "CompressionType": "Gzip",
            "InputMode": "File",
        }
    ],
    "OutputDataConfig": {"S3OutputPath": "s3://b/out", "CompressionType": "NONE"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 7},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90},
    "EnableManagedSpotTraining": True,
    "EnableNetworkIsolation": True,
    "CheckpointConfig": {"S3Uri": "s3://b/checkpoints", "LocalPath": "/opt/ml/checkpoints"},
    "HyperParameters": {"scale": "2", "text": 'a "quoted" \\ line\nand é \x7f'},
    "Environment": {"COLOUR": "blue"},
    "Tags": [{"Key": "team", "Value": "x"}],
}
# What DescribeTrainingJob adds of its own.
DESCRIBED = {**JOB, "TrainingJobStatus": "Completed", "ProfilingStatus": "Disabled"}


def again(text: str) -> Any:
    """The request that a spec's text asks for, at a place with the names of JOB."""
    place = Place("j", datetime(2026, 1, 1, tzinfo=UTC), "i", ROLE, "b")
    spec = read_spec(text, "job.toml", Path("."))
    return plan_of(spec, place).calls[0].parameters


def test_a_jobs_description_gives_the_same_request_again() -> None:
    assert again(training_toml(DESCRIBED, {"team": "x"})) == JOB


@given(
    st.dictionaries(
        st.text("abc.-_ é", min_size=1), st.text(st.characters(exclude_categories=["Cs"]))
    )
)
def test_any_hyperparameters_come_through(hyperparameters: dict[str, str]) -> None:
    text = training_toml({**DESCRIBED, "HyperParameters": hyperparameters}, {})

    assert again(text).get("HyperParameters", {}) == hyperparameters


def test_what_a_spec_cannot_say_is_named() -> None:
    job = {**DESCRIBED, "VpcConfig": {"Subnets": ["s"]}, "RetryStrategy": {}}

    assert left_out(job) == ["VpcConfig"]
    assert left_out(DESCRIBED) == []


def test_an_endpoint_is_on_what_its_variant_was_on() -> None:
    def spec(variant: dict[str, Any]) -> EndpointSpec:
        text = endpoint_toml(
            "e", "i", model="s3://b/m", environment={"A": "1"}, role=None, variant=variant
        )
        found = read_spec(text, "endpoint.toml", Path("."))
        assert isinstance(found, EndpointSpec)
        return found

    serverless = spec({"ServerlessConfig": {"MemorySizeInMB": 4096, "MaxConcurrency": 3}})
    assert serverless.compute == Serverless(4096, 3)
    named = spec({"VariantName": "v", "InstanceType": "ml.c5.large", "InitialInstanceCount": 2})
    assert (named.variant, named.compute) == ("v", Instances("ml.c5.large", 2))
    assert spec({}).model == S3Uri("b", "m")


def test_tables_without_members_are_not_written() -> None:
    assert tomllib.loads(toml_of({"a": 1, "b": None}, {"t": {}, "u": {"c": True}})) == {
        "a": 1,
        "u": {"c": True},
    }

"""Specs as API calls: names, members, and that AWS's own models accept them."""

from __future__ import annotations

import re
import textwrap
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal.account import CloudError
from sagelocal.cloud.checking import check_calls
from sagelocal.cloud.plan import Place, Plan, Upload, plan_of, unique_name
from sagelocal.cloud.spec import read_spec
from sagelocal.domain.names import S3Uri

MOMENT = datetime(2026, 1, 31, 23, 59, 59, 7_000, UTC)
ROLE = "arn:aws:iam::123456789012:role/Worker"
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/toy:1"
PLACE = Place("toy-1", MOMENT, IMAGE, ROLE, "bucket")
HEAD = 'name = "toy"\nimage = "toy"\n'
INSTANCE = '[instance]\ntype = "ml.m5.large"\n'


def plan(text: str, folder: Path = Path(".")) -> Plan:
    return plan_of(read_spec(HEAD + textwrap.dedent(text), "job.toml", folder), PLACE)


def parameters(text: str, folder: Path = Path(".")) -> Any:
    """Those of a plan's only call."""
    (call,) = plan(text, folder).calls
    return call.parameters


def test_the_smallest_training_job_says_no_more_than_it_must() -> None:
    assert parameters(INSTANCE) == {
        "TrainingJobName": "toy-1",
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.large",
            "InstanceCount": 1,
            "VolumeSizeInGB": 30,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
    }


def test_local_data_is_uploaded_below_the_jobs_name(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("1\n")
    planned = plan('data.train = "rows.csv"\ndata.test = "s3://other/test"\n' + INSTANCE, tmp_path)
    train, test = planned.calls[0].parameters["InputDataConfig"]

    to = S3Uri("bucket", "toy-1/input/train/")
    assert planned.uploads == (Upload(tmp_path / "rows.csv", to),)
    assert train["DataSource"]["S3DataSource"]["S3Uri"] == "s3://bucket/toy-1/input/train/"
    assert test["DataSource"]["S3DataSource"]["S3Uri"] == "s3://other/test"


def test_spot_instances_wait_as_long_as_the_job_may_run_if_nothing_is_said() -> None:
    found = parameters("limits = {spot = true, max_run_seconds = 60}\n" + INSTANCE)

    assert found["EnableManagedSpotTraining"] is True
    assert found["StoppingCondition"] == {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60}


def test_an_endpoint_is_a_model_a_configuration_and_the_endpoint(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text("{}")
    text = 'kind = "endpoint"\nmodel = "model.json"\n[serverless]\nmemory_mb = 3072\n'
    planned = plan(text, tmp_path)
    model, config, endpoint = planned.calls

    name = "toy-2026-01-31-23-59-59-007"
    archive = S3Uri("bucket", f"{name}/model/model.tar.gz")
    assert planned.uploads == (Upload(tmp_path / "model.json", archive, packed=True),)
    assert model.parameters["PrimaryContainer"] == {"Image": IMAGE, "ModelDataUrl": str(archive)}
    (variant,) = config.parameters["ProductionVariants"]
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 3072, "MaxConcurrency": 5}
    assert endpoint.parameters == {"EndpointName": "toy", "EndpointConfigName": name}


def test_a_transform_is_a_model_and_a_job() -> None:
    text = """
    kind = "transform"
    model = "s3://b/model.tar.gz"
    [input]
    source = "s3://b/in"
    content_type = "text/csv"
    split = "Line"
    [output]
    accept = "text/csv"
    assemble = "Line"
    [limits]
    strategy = "MultiRecord"
    max_payload_mb = 6
    """
    model, job = plan(text + INSTANCE).calls

    assert model.parameters["PrimaryContainer"]["ModelDataUrl"] == "s3://b/model.tar.gz"
    assert job.parameters["TransformInput"]["SplitType"] == "Line"
    assert job.parameters["TransformOutput"]["S3OutputPath"] == "s3://bucket/toy-1/output"


@pytest.mark.parametrize(
    "text",
    [
        'tags.team = "x"\nenvironment.A = "b"\nmetrics.loss = "x=(.*)"\n' + INSTANCE,
        'checkpoints.s3 = "s3://b/c"\nlimits.spot = true\nnetwork_isolation = true\n' + INSTANCE,
        'kind = "endpoint"\nmodel = "s3://b/m.tar.gz"\nvariant.startup_timeout_seconds = 600\n'
        + INSTANCE,
        'kind = "endpoint"\ntags.team = "x"\n[serverless]\n',
        'kind = "transform"\ninput.source = "s3://b/in"\nenvironment.A = "b"\n' + INSTANCE,
    ],
)
def test_the_services_own_models_accept_what_is_planned(text: str) -> None:
    check_calls(plan(text).calls)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            INSTANCE.replace("m5.large", "m5.lagre"),
            "resourceConfig.instanceType is 'ml.m5.lagre', which is not known to AWS; "
            "did you mean ml.m5.large?",
        ),
        ('input_mode = "Pipe"\ninstance.count = 5\ninstance.type = "x"\n', "it knows "),
        (f'environment.A = "{"x" * 600}"\n' + INSTANCE, "CreateTrainingJob: Value"),
        ('kind = "endpoint"\nserverless.memory_mb = 1000000\n', "memorySizeInMB"),
    ],
)
def test_what_the_models_do_not_allow_is_told_before_it_is_sent(text: str, words: str) -> None:
    with pytest.raises(CloudError, match=re.escape(words)):
        check_calls(plan(text).calls)


def test_a_name_that_sagemaker_does_not_allow_is_told() -> None:
    spec = read_spec(HEAD + INSTANCE, "job.toml", Path("."))

    with pytest.raises(CloudError, match="'a_b' at 'trainingJobName' failed to satisfy"):
        check_calls(plan_of(spec, replace(PLACE, name="a_b")).calls)


@given(st.text("ab-", max_size=100), st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)))
def test_a_unique_name_fits_and_ends_with_the_moment(base: str, moment: datetime) -> None:
    name = unique_name(base, moment)

    assert len(name) <= 63
    assert name.endswith(f"-{moment.microsecond // 1000:03}")
    assert not name[: -len("-2026-01-31-23-59-59-007")].endswith("-")

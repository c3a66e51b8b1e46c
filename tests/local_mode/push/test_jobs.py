"""Jobs that run images which were pushed, and are at no engine any more."""

from __future__ import annotations

import contextlib
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import WaiterError

from tests.image_registry import ImageRegistry
from tests.local_mode.push.conftest import Cloud

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[3]
CONTEXT = ROOT / "tests" / "containers" / "checked"
MAKE_BASE = ROOT / "containers" / "base" / "make_base.sh"


@pytest.fixture(scope="module")
def cloud(start_shared_plane: Callable[..., Any], registry: ImageRegistry) -> Cloud:
    """One that runs jobs on Docker."""
    cloud = Cloud(start_shared_plane(runtime="docker", **registry.settings), registry)
    s3 = cloud.plane.client("s3")
    s3.create_bucket(Bucket="data")
    s3.put_object(Bucket="data", Key="train/rows.csv", Body=b"1,a\n2,b\n6,c\n")
    return cloud


@pytest.fixture(scope="module")
def pushed(cloud: Cloud) -> Iterator[Any]:
    """The result of a push, after which the engine has the image by no name."""
    base = subprocess.run(["sh", MAKE_BASE], check=True, capture_output=True, text=True).stdout
    image = f"pushed-{uuid.uuid4().hex[:12]}:v1"
    argument = f"BASE_IMAGE={base.strip()}"
    _docker("build", "-q", "-t", image, "--build-arg", argument, str(CONTEXT))
    result = cloud.pushed(image)
    _docker("image", "rm", image)
    yield result
    pulled = [result["image"], f"{result['repositoryUri']}:v1"]
    subprocess.run(["docker", "image", "rm", "--force", *pulled], capture_output=True)


def _docker(*arguments: str) -> None:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def trained(cloud: Cloud, image: str) -> Any:
    """The description of a job with that image, when it has ended."""
    sagemaker = cloud.plane.client("sagemaker")
    name = f"job-{uuid.uuid4().hex[:8]}"
    sagemaker.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File"},
        RoleArn="arn:aws:iam::000000000000:role/Any",
        InputDataConfig=[
            {
                "ChannelName": "train",
                "DataSource": {
                    "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/train/"}
                },
            }
        ],
        OutputDataConfig={"S3OutputPath": "s3://data/models/"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 300},
    )
    with contextlib.suppress(WaiterError):  # it failed
        sagemaker.get_waiter("training_job_completed_or_stopped").wait(
            TrainingJobName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 300}
        )
    return sagemaker.describe_training_job(TrainingJobName=name)


@pytest.mark.parametrize("form", ["tag", "digest", "tag in the cloud", "digest in the cloud"])
def test_a_job_names_the_image_by(form: str, cloud: Cloud, pushed: Any) -> None:
    uri = pushed["repositoryUri"]
    if "cloud" in form:
        uri = f"000000000000.dkr.ecr.us-east-1.amazonaws.com/{uri.partition('/')[2]}"
    image = f"{uri}@{pushed['digest']}" if "digest" in form else f"{uri}:v1"

    job = trained(cloud, image)

    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")


def test_an_image_that_was_not_pushed_fails_its_job(cloud: Cloud, pushed: Any) -> None:
    job = trained(cloud, f"{pushed['repositoryUri']}:never")

    assert job["TrainingJobStatus"] == "Failed"
    assert f"{pushed['repositoryUri']}:never cannot be pulled" in job["FailureReason"]

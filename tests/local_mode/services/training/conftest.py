"""A plane whose one image, test-script, runs the program that is its hyperparameter."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

IMAGES = Path(__file__).parent / "images"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/test-script:latest"
LOG_GROUP = "/aws/sagemaker/TrainingJobs"


class Training:
    """A plane's clients, and the steps that most tests have in common."""

    def __init__(self, plane: Any) -> None:
        self.plane = plane
        self.sagemaker = plane.client("sagemaker")
        self.s3 = plane.client("s3")
        self.logs = plane.client("logs")
        self.s3.create_bucket(Bucket="bucket")

    def request(self, name: str, script: str = "pass", **more: Any) -> dict[str, Any]:
        """A CreateTrainingJob request; a member that is given as None is left out."""
        request = {
            "TrainingJobName": name,
            "RoleArn": "arn:aws:iam::000000000000:role/Test",
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "HyperParameters": {"script": json.dumps(textwrap.dedent(script))},
            "OutputDataConfig": {"S3OutputPath": "s3://bucket/out"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 1,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            **more,
        }
        return {key: value for key, value in request.items() if value is not None}

    def create(self, name: str, script: str = "pass", **more: Any) -> str:
        """A job that runs; its ARN."""
        answer = self.sagemaker.create_training_job(**self.request(name, script, **more))
        arn: str = answer["TrainingJobArn"]
        return arn

    def run(self, name: str, script: str = "pass", **more: Any) -> dict[str, Any]:
        """A job that has ended."""
        self.create(name, script, **more)
        return self.await_end(name)

    def describe(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return found

    def await_end(self, name: str) -> dict[str, Any]:
        return self.await_that(
            name, lambda job: job["TrainingJobStatus"] not in ("InProgress", "Stopping")
        )

    def await_that(
        self, name: str, condition: Callable[[dict[str, Any]], bool], seconds: float = 60
    ) -> dict[str, Any]:
        """The job once a condition holds."""
        deadline = time.monotonic() + seconds
        while not condition(found := self.describe(name)):
            assert time.monotonic() < deadline, f"{found}\n{self.plane.log()}"
            time.sleep(0.01)
        return found

    def await_line(self, name: str, line: str) -> None:
        self.await_that(name, lambda _: line in self.lines(name))

    def lines(self, name: str) -> list[str]:
        """The job's log, as CloudWatch gives it."""
        if not self.logs.describe_log_groups(logGroupNamePrefix=LOG_GROUP)["logGroups"]:
            return []
        streams = self.logs.describe_log_streams(
            logGroupName=LOG_GROUP, logStreamNamePrefix=f"{name}/"
        )["logStreams"]
        return [
            event["message"]
            for stream in streams
            for event in self.logs.get_log_events(
                logGroupName=LOG_GROUP, logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
        ]

    def put(self, key: str, body: bytes = b"x") -> None:
        self.s3.put_object(Bucket="bucket", Key=key, Body=body)

    def archive(self, uri: str) -> dict[str, bytes]:
        """The files of a tar.gz in S3."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        content = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            return {
                member.name: file.read()
                for member in tar.getmembers()
                if (file := tar.extractfile(member))
            }


@pytest.fixture
def start_training(start_plane: Callable[..., Any]) -> Callable[..., Training]:
    """Starts a plane with any settings."""

    def start(**settings: Any) -> Training:
        return Training(start_plane(**{"containers_dir": str(IMAGES), **settings}))

    return start


@pytest.fixture
def training(start_training: Callable[..., Training]) -> Training:
    return start_training()


@pytest.fixture(scope="session")
def script_image() -> None:
    """The test image at the engine; its base comes from `make base image-base`."""
    command = ["docker", "build", "-q", "-t", "sagelocal/test-script:1", str(IMAGES / "script")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"the test image cannot be built (`make image-base` first): {done.stderr}")

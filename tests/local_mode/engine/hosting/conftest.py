"""A plane whose one image, test-echo, does what its environment and its requests tell it."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

ECHO = "sagelocal/test-echo:1"
ROLE = "arn:aws:iam::000000000000:role/Test"
IMAGES = Path(__file__).parent / "images"
BUCKET = "models"

Container = Mapping[str, Any]


def tar_gz(files: Mapping[str, bytes]) -> bytes:
    """An archive of these files."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


class Hosting:
    """A plane's clients, and the steps that most tests have in common."""

    def __init__(self, plane: Any) -> None:
        self.plane = plane
        self.sagemaker = plane.client("sagemaker")
        self.runtime = plane.client("sagemaker-runtime", max_pool_connections=32)
        self.s3 = plane.client("s3")
        self.s3.create_bucket(Bucket=BUCKET)
        self.data_url = self.put_model({"weights": b"\x00\x01\xff"})

    def put_model(self, files: Mapping[str, bytes], key: str = "m/model.tar.gz") -> str:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=tar_gz(files))
        return f"s3://{BUCKET}/{key}"

    def container(self, image: str = ECHO, **environment: str) -> Container:
        return {"Image": image, "ModelDataUrl": self.data_url, "Environment": environment}

    def configure(
        self,
        name: str,
        *containers: Container,
        model: Mapping[str, Any] | None = None,
        **variant: Any,
    ) -> str:
        """A model and a configuration of that name with one variant, AllTraffic."""
        definition: dict[str, Any] = (
            {"PrimaryContainer": containers[0]}
            if len(containers) == 1
            else {"Containers": list(containers)}
        )
        self.sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=ROLE, **definition, **(model or {})
        )
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=[self.variant(name, **variant)]
        )
        return name

    def variant(self, model_name: str, name: str = "AllTraffic", **more: Any) -> dict[str, Any]:
        return {
            "VariantName": name,
            "ModelName": model_name,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
            **more,
        }

    def create(self, name: str, *containers: Container, **more: Any) -> None:
        """An endpoint whose configuration has its name; returns while it is Creating."""
        self.configure(name, *(containers or (self.container(),)), **more)
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)

    def deploy(self, name: str, *containers: Container, **more: Any) -> None:
        """An endpoint in service."""
        self.create(name, *containers, **more)
        self.await_status(name, "InService")

    def describe(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=name)
        return found

    def await_status(self, name: str, *statuses: str, seconds: float = 240) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while (found := self.describe(name))["EndpointStatus"] not in statuses:
            assert time.monotonic() < deadline, f"{found}\n{self.plane.log()}"
            assert found["EndpointStatus"] not in ("Failed", "InService"), found
            time.sleep(0.01)
        return found

    def await_gone(self, name: str, seconds: float = 30) -> str:
        """What DescribeEndpoint says once the endpoint is gone."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                assert self.describe(name)["EndpointStatus"] == "Deleting"
            except ClientError as error:
                return str(error)
            time.sleep(0.01)
        raise AssertionError(f"{name} is still there")

    def invoke(self, name: str, body: bytes = b"hello", **more: Any) -> bytes:
        answer = self.runtime.invoke_endpoint(EndpointName=name, Body=body, **more)
        content: bytes = answer["Body"].read()
        return content

    def invoke_until_served(self, name: str, body: bytes = b"hello", seconds: float = 30) -> bytes:
        """Its answer once it does not answer with an error any more."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.invoke(name, body)
            except ClientError:
                assert time.monotonic() < deadline, self.plane.log()
                time.sleep(0.02)

    def log_lines(self, name: str) -> dict[str, Sequence[str]]:
        """The lines of each log stream of an endpoint."""
        logs = self.plane.client("logs")
        group = f"/aws/sagemaker/Endpoints/{name}"
        return {
            stream["logStreamName"]: [
                event["message"]
                for event in logs.get_log_events(
                    logGroupName=group, logStreamName=stream["logStreamName"]
                )["events"]
            ]
            for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]
        }


@pytest.fixture
def start_hosting(start_plane: Callable[..., Any]) -> Iterator[Callable[..., Hosting]]:
    """Starts planes with any settings; whatever a test does to them, none may trip over itself."""
    planes: list[Any] = []

    def start(**settings: Any) -> Hosting:
        planes.append(start_plane(containers_dir=str(IMAGES), **settings))
        return Hosting(planes[-1])

    yield start
    for plane in planes:
        plane.stop()
        assert "Traceback" not in plane.log(), plane.log()


@pytest.fixture
def hosting(start_hosting: Callable[..., Hosting]) -> Hosting:
    return start_hosting()


@pytest.fixture
def start_many_models(start_plane: Callable[..., Any]) -> Callable[..., Hosting]:
    """Starts planes with the real images, for endpoints with many models."""
    return lambda **settings: Hosting(start_plane(**settings))


@pytest.fixture(scope="module")
def many_models(start_plane_for_all: Callable[..., Any]) -> Hosting:
    """A plane with the real images, for the tests of a module."""
    return Hosting(start_plane_for_all())


@pytest.fixture(scope="module")
def echoes(start_plane_for_all: Callable[..., Any]) -> Hosting:
    """A plane with the echo image, for the tests of a module."""
    return Hosting(start_plane_for_all(containers_dir=str(IMAGES)))

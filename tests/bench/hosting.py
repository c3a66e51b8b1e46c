"""Endpoints: how soon they serve, how soon they go, and what a call through the plane costs."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from tests.bench import bare
from tests.bench.figures import Figure, report, seconds, wait_until
from tests.bench.plane import Plane

ROUNDS = 5
CALLS = 1500
IMAGE = "382416733822.dkr.ecr.us-east-1.amazonaws.com/linear-learner:1"
ROLE = "arn:aws:iam::000000000000:role/SageLocalExecutionRole"
# The signature is not looked at; the scope says whose call it is.
SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/sagemaker/aws4_request, "
    "SignedHeaders=host, Signature=0",
    "Content-Type": "text/csv",
}
DEPLOY = """
import json, sys, time
import boto3, sagemaker
from sagemaker.model import Model
image, data, role, name = sys.argv[1:]
model = Model(image_uri=image, model_data=data, role=role, name=name)
begin = time.time()
model.deploy(1, "ml.m5.large", endpoint_name=name)
end = time.time()
client = boto3.client("sagemaker")
in_service = client.describe_endpoint(EndpointName=name)["LastModifiedTime"].timestamp()
client.delete_endpoint(EndpointName=name)
print("\\n" + json.dumps({"deploy": end - begin, "after_in_service": end - in_service}))
"""


def describe(sagemaker: Any, name: str) -> str:
    """The endpoint's status; `gone` when there is none."""
    try:
        return str(sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"])
    except ClientError:
        return "gone"


def create(sagemaker: Any, name: str) -> None:
    """Create the endpoint and wait for InService."""
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="bench")
    wait_until(lambda: describe(sagemaker, name) == "InService", 60, step=0.01)


def delete(sagemaker: Any, name: str) -> None:
    """Delete the endpoint and wait until it is gone."""
    sagemaker.delete_endpoint(EndpointName=name)
    wait_until(lambda: describe(sagemaker, name) == "gone", 60, step=0.01)


def measure(plane: Plane, folder: Path, job: str) -> None:
    """Print start, end and cost per call of an endpoint, against the bare `serve`."""
    sagemaker = plane.client("sagemaker")
    model_data = sagemaker.describe_training_job(TrainingJobName=job)["ModelArtifacts"][
        "S3ModelArtifacts"
    ]
    bucket, _, key = model_data.removeprefix("s3://").partition("/")
    archive = folder / "model.tar.gz"
    plane.client("s3").download_file(bucket, key, str(archive))
    sagemaker.create_model(
        ModelName="bench",
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": model_data},
        ExecutionRoleArn=ROLE,
    )
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "bench",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.large",
    }
    sagemaker.create_endpoint_config(EndpointConfigName="bench", ProductionVariants=[variant])
    _measure_life(sagemaker, folder, archive)
    _measure_sdk(plane, model_data)
    _measure_calls(plane, sagemaker, folder, archive)


def _measure_life(sagemaker: Any, folder: Path, archive: Path) -> None:
    alone, deployed, deleted = [], [], []
    for number in range(ROUNDS):
        with ExitStack() as stack:
            alone.append(
                seconds(
                    lambda number=number, stack=stack: stack.enter_context(  # type: ignore[misc]
                        bare.serving(folder / f"serve-{number}", archive)
                    )
                )
            )
        deployed.append(seconds(lambda: create(sagemaker, "bench")))
        deleted.append(seconds(lambda: delete(sagemaker, "bench")))
    report(
        "An endpoint's life",
        [
            Figure("the bare `serve`, until its first healthy ping", alone, "s"),
            Figure("CreateEndpoint, until InService is seen", deployed, "s"),
            Figure("difference", [a - b for a, b in zip(deployed, alone, strict=True)], "s", 0.5),
            Figure("DeleteEndpoint, until it is gone", deleted, "s", 1.0),
        ],
    )


def _measure_sdk(plane: Plane, model_data: str) -> None:
    python = os.environ["SAGELOCAL_TEST_CLIENTS"]
    answers = []
    for number in range(3):
        name = f"bench-sdk-{number}"
        printed = plane.command(
            "exec", "--", python, "-W", "ignore", "-c", DEPLOY, IMAGE, model_data, ROLE, name
        )
        answers.append(json.loads(printed.strip().splitlines()[-1]))
    report(
        "The SDK's deploy() under `sagelocal exec`",
        [
            Figure("deploy() in all", [a["deploy"] for a in answers], "s"),
            Figure("deploy() after InService", [a["after_in_service"] for a in answers], "s", 1.0),
        ],
    )


@contextmanager
def _connection(address: str) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(address)
    try:
        yield connection
    finally:
        connection.close()


def _post(connection: http.client.HTTPConnection, path: str) -> None:
    connection.request("POST", path, b"42", SIGNED)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {body!r}")


def _measure_calls(plane: Plane, sagemaker: Any, folder: Path, archive: Path) -> None:
    create(sagemaker, "bench")
    direct, through = [], []
    with (
        bare.serving(folder / "serve-calls", archive) as address,
        _connection(address) as alone,
        _connection(f"127.0.0.1:{plane.port}") as ours,
    ):
        for _ in range(CALLS):
            direct.append(1000 * seconds(lambda: _post(alone, "/invocations")))
            through.append(1000 * seconds(lambda: _post(ours, "/endpoints/bench/invocations")))
    delete(sagemaker, "bench")
    direct_figure = Figure("the container called directly", direct, "ms")
    through_figure = Figure("InvokeEndpoint through the plane", through, "ms")
    added = through_figure.median - direct_figure.median
    report(
        f"One call ({CALLS} in turns, one connection)",
        [direct_figure, through_figure, Figure("added at the median", [added], "ms", 2.0)],
    )

"""Inference pipelines: up to fifteen containers, each with ports of its own, one after another."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError


def chain(hosting: Any, length: int, **environment: str) -> list[Any]:
    """Containers that each put their number before what they get."""
    return [
        hosting.container(MODEL_TAG=str(number), **environment) for number in range(1, length + 1)
    ]


def test_a_request_passes_fifteen_containers(start_hosting: Callable[..., Any]) -> None:
    hosting = start_hosting(invocation_timeout_seconds=30)
    hosting.create("echo", *chain(hosting, 15))
    hosting.await_status("echo", "InService", seconds=120)
    answer = hosting.runtime.invoke_endpoint(
        EndpointName="echo", Body=b"x", ContentType="text/csv; charset=utf-8"
    )
    assert answer["Body"].read() == b"15:14:13:12:11:10:9:8:7:6:5:4:3:2:1:x"
    assert answer["ContentType"] == "text/csv; charset=utf-8"


def test_a_sixteenth_container_is_refused(hosting: Any) -> None:
    with pytest.raises(ClientError) as caught:
        hosting.configure("echo", *chain(hosting, 16))
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert error["Message"].startswith("1 validation error detected: Value '[")
    assert error["Message"].endswith(
        "at 'containers' failed to satisfy constraint: Member must have length less than or equal "
        "to 15"
    )


def test_each_container_gets_a_port_and_a_range_of_its_own(hosting: Any) -> None:
    direct = {"InferenceExecutionConfig": {"Mode": "Direct"}}
    names = ["one", "two", "three"]
    hosting.deploy(
        "echo",
        *({**hosting.container(), "ContainerHostname": name} for name in names),
        model=direct,
    )

    def told(variable: str) -> list[str]:
        asked = f"environment {variable}".encode()
        return [
            hosting.invoke("echo", asked, TargetContainerHostname=name).decode() for name in names
        ]

    ports = [int(port) for port in told("SAGEMAKER_BIND_TO_PORT")]
    for text in told("SAGEMAKER_SAFE_PORT_RANGE"):
        first, last = map(int, text.split("-"))
        ports += range(first, last + 1)
    assert len(ports) == len(set(ports)) > 2 * len(names)


def test_the_type_goes_from_one_to_the_next_and_accept_to_the_last(hosting: Any) -> None:
    first = hosting.container(ANSWER_TYPE="text/csv; charset=utf-8", MODEL_TAG="headers ")
    hosting.deploy("echo", first, hosting.container())
    answer = hosting.runtime.invoke_endpoint(
        EndpointName="echo",
        Body=b"x",
        ContentType="application/json",
        Accept="application/jsonlines",
        CustomAttributes="abc",
    )
    seen = {name.lower(): value for name, value in json.loads(answer["Body"].read()).items()}
    assert seen["content-type"] == "text/csv; charset=utf-8"
    assert seen["accept"] == "application/jsonlines"
    assert seen["x-amzn-sagemaker-custom-attributes"] == "abc"


@pytest.mark.parametrize(("status", "whose"), [(415, "client"), (500, "server")])
def test_an_error_names_the_container_that_gave_it(hosting: Any, status: int, whose: str) -> None:
    hosting.deploy("echo", hosting.container(MODEL_TAG=f"status {status} no"), hosting.container())
    with pytest.raises(ClientError) as caught:
        hosting.invoke("echo", b"x")
    assert caught.value.response["Error"]["Message"].startswith(
        f'Received {whose} error ({status}) from container-2 with message "no:x".'
    )


def test_a_container_that_does_not_come_up_fails_the_endpoint_by_its_name(hosting: Any) -> None:
    hosting.create("echo", hosting.container(), hosting.container(START="exit"))
    found = hosting.await_status("echo", "Failed")
    assert "container-2" in found["FailureReason"]
    assert "the model is broken" in found["FailureReason"]

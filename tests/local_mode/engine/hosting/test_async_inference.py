"""Asynchronous endpoints: the answer lies in S3 some time later, or why there is none."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

OUTPUT = {"S3OutputPath": "s3://models/out/", "S3FailurePath": "s3://models/failed"}


class Async:
    """An asynchronous endpoint, and what most tests do with it."""

    def __init__(self, hosting: Any, name: str, output: Mapping[str, str], **client: int) -> None:
        self.hosting = hosting
        self.name = name
        hosting.configure(name, hosting.container())
        hosting.sagemaker.delete_endpoint_config(EndpointConfigName=name)
        hosting.sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[hosting.variant(name)],
            AsyncInferenceConfig={
                "OutputConfig": output,
                **({"ClientConfig": client} if client else {}),
            },
        )
        hosting.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        hosting.await_status(name, "InService")

    def ask(self, body: bytes, **more: Any) -> dict[str, Any]:
        """Put the payload into S3 and ask; what the call gives."""
        key = f"in/{time.monotonic_ns()}"
        self.hosting.s3.put_object(
            Bucket="models", Key=key, Body=body, ContentType="text/plain; charset=utf-8"
        )
        return self.ask_by(InputLocation=f"s3://models/{key}", **more)

    def ask_by(self, **request: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.hosting.runtime.invoke_endpoint_async(
            EndpointName=self.name, **request
        )
        return found

    def there(self, location: str) -> bool:
        try:
            self.hosting.s3.head_object(Bucket="models", Key=_key(location))
        except ClientError:
            return False
        return True

    def await_object(self, location: str) -> Any:
        deadline = time.monotonic() + 30
        while not self.there(location):
            assert time.monotonic() < deadline, self.hosting.plane.log()
            time.sleep(0.02)
        return self.hosting.s3.get_object(Bucket="models", Key=_key(location))


def _key(location: str) -> str:
    return location.removeprefix("s3://models/")


@pytest.fixture(scope="module")
def endpoint(echoes: Any) -> Async:
    """One endpoint for the tests that need nothing of their own."""
    return Async(echoes, "async", OUTPUT)


@pytest.fixture
def start_async(start_hosting: Callable[..., Any]) -> Callable[..., Async]:
    def start(output: Mapping[str, str] = OUTPUT, **client: int) -> Async:
        return Async(start_hosting(), "async", output, **client)

    return start


def test_an_answer_lies_where_the_call_said(endpoint: Async) -> None:
    asked = endpoint.ask(b"\x00\xff hello", CustomAttributes="trace=7")
    assert asked["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert asked["OutputLocation"] == f"s3://models/out/{asked['InferenceId']}.out"
    assert asked["FailureLocation"] == f"s3://models/failed/{asked['InferenceId']}-error.out"
    answer = endpoint.await_object(asked["OutputLocation"])
    assert answer["Body"].read() == b"\x00\xff hello"
    assert answer["ContentType"] == "text/plain; charset=utf-8"
    assert not endpoint.there(asked["FailureLocation"])


def test_a_payload_may_come_with_the_call(endpoint: Async) -> None:
    asked = endpoint.ask_by(Body=b"headers", ContentType="text/csv", Accept="a/b", InferenceId="i1")
    assert asked["InferenceId"] == "i1"
    headers = json.loads(endpoint.await_object(asked["OutputLocation"])["Body"].read())
    assert headers["Content-Type"] == "text/csv"
    assert headers["Accept"] == "a/b"
    assert headers["X-Amzn-SageMaker-Inference-Id"] == "i1"


def test_a_call_may_say_how_its_answer_is_called(endpoint: Async) -> None:
    asked = endpoint.ask(b"x", S3OutputPathExtension="2026/11", Filename="answer.txt")
    assert asked["OutputLocation"] == "s3://models/out/2026/11/answer.txt"
    endpoint.await_object(asked["OutputLocation"])


def test_a_model_that_fails_leaves_its_words_at_the_failure_location(endpoint: Async) -> None:
    asked = endpoint.ask(b"status 400 no such row")
    words = endpoint.await_object(asked["FailureLocation"])["Body"].read().decode()
    assert words.startswith(
        'Received client error (400) from primary with message "no such row". See https://'
    )
    assert not endpoint.there(asked["OutputLocation"])


def test_an_input_that_is_not_there_is_a_failure(endpoint: Async) -> None:
    asked = endpoint.ask_by(InputLocation="s3://models/nothing")
    words = endpoint.await_object(asked["FailureLocation"])["Body"].read()
    assert words.startswith(b"Failed to download the input from s3://models/nothing.")


def test_a_model_that_takes_too_long_is_a_failure(endpoint: Async) -> None:
    asked = endpoint.ask(b"sleep 60", InvocationTimeoutSeconds=1)
    words = endpoint.await_object(asked["FailureLocation"])["Body"].read()
    assert b"Your invocation timed out" in words


def test_without_a_failure_path_a_failure_is_only_logged(start_async: Callable[..., Async]) -> None:
    endpoint = start_async({"S3OutputPath": "s3://models/out"})
    asked = endpoint.ask(b"status 400 no such row")
    assert "FailureLocation" not in asked
    deadline = time.monotonic() + 30
    while "no such row" not in endpoint.hosting.plane.log():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_so_many_calls_run_at_once_as_the_configuration_says(
    start_async: Callable[..., Async],
) -> None:
    endpoint = start_async(MaxConcurrentInvocationsPerInstance=1)
    first = endpoint.ask(b"sleep 0.6")
    second = endpoint.ask(b"quick")
    endpoint.await_object(second["OutputLocation"])
    assert endpoint.there(first["OutputLocation"])


def test_requests_survive_a_crash_of_the_plane(start_async: Callable[..., Async]) -> None:
    endpoint = start_async(MaxConcurrentInvocationsPerInstance=1)
    asked = [endpoint.ask(body) for body in (b"sleep 1", b"one", b"two")]
    endpoint.hosting.plane.restart()
    for each in asked:
        endpoint.await_object(each["OutputLocation"])


def test_requests_go_with_their_endpoint(start_async: Callable[..., Async]) -> None:
    endpoint = start_async(MaxConcurrentInvocationsPerInstance=1)
    asked = [endpoint.ask(body) for body in (b"sleep 1", b"late")]
    endpoint.hosting.sagemaker.delete_endpoint(EndpointName="async")
    endpoint.hosting.await_gone("async")
    endpoint.hosting.plane.restart()
    assert not endpoint.there(asked[1]["OutputLocation"])


def test_an_endpoint_answers_in_one_way_only(start_async: Callable[..., Async]) -> None:
    endpoint = start_async()
    with pytest.raises(ClientError, match="does not support InvokeEndpoint"):
        endpoint.hosting.invoke("async")
    endpoint.hosting.deploy("plain")
    endpoint.name = "plain"
    with pytest.raises(ClientError, match="does not support InvokeEndpointAsync"):
        endpoint.ask(b"x")
    endpoint.name = "nobody"
    with pytest.raises(ClientError, match=r"Endpoint nobody of account 000000000000 not found\."):
        endpoint.ask(b"x")


def test_a_call_has_one_payload(endpoint: Async) -> None:
    with pytest.raises(ClientError, match="Exactly one of InputLocation and Body"):
        endpoint.ask_by()
    with pytest.raises(ClientError, match="Exactly one of InputLocation and Body"):
        endpoint.ask(b"x", Body=b"y")


def test_describe_endpoint_tells_of_the_configuration(start_async: Callable[..., Async]) -> None:
    endpoint = start_async(MaxConcurrentInvocationsPerInstance=3)
    found = endpoint.hosting.describe("async")["AsyncInferenceConfig"]
    assert found["OutputConfig"] == OUTPUT
    assert found["ClientConfig"] == {"MaxConcurrentInvocationsPerInstance": 3}

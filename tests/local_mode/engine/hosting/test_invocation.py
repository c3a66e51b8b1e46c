"""InvokeEndpoint: what is relayed, to whom, and how it is told when a model does not answer."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

CONSOLE = (
    "See https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#logEventViewer:"
    "group=/aws/sagemaker/Endpoints/echo in account 000000000000 for more information."
)


def refusal(hosting: Any, body: bytes, **more: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        hosting.invoke("echo", body, **more)
    return dict(caught.value.response)


def test_a_containers_refusal_is_relayed_as_a_model_error(hosting: Any) -> None:
    hosting.deploy("echo")
    response = refusal(hosting, b"status 415 not this")
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["Error"]["Code"] == "ModelError"
    assert response["OriginalStatusCode"] == 415
    assert response["Error"]["Message"] == (
        f'Received client error (415) from primary with message "not this". {CONSOLE}'
    )
    assert response["OriginalMessage"] == "not this"
    assert response["LogStreamArn"] == (
        "arn:aws:logs:us-east-1:000000000000:log-group:/aws/sagemaker/Endpoints/echo"
    )


def test_a_failure_of_the_container_is_a_server_error(hosting: Any) -> None:
    hosting.deploy("echo")
    response = refusal(hosting, b"status 500 oops")
    assert response["OriginalStatusCode"] == 500
    assert response["Error"]["Message"].startswith(
        'Received server error (500) from primary with message "oops".'
    )


def test_an_answer_that_takes_too_long_is_a_model_error(
    start_hosting: Callable[..., Any],
) -> None:
    hosting = start_hosting(invocation_timeout_seconds=0.5)
    hosting.deploy("echo")
    response = refusal(hosting, b"sleep 30")
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == 0
    assert response["Error"]["Message"] == (
        'Received server error (0) from primary with message "Your invocation timed out while '
        "waiting for a response from container primary. Review the latency metrics for each "
        'container in Amazon CloudWatch, resolve the issue, and try again.". ' + CONSOLE
    )
    assert hosting.invoke("echo", b"sleep 0.1") == b"awake"


@pytest.mark.parametrize("body", [b"die", b"garbage "])
def test_a_container_that_does_not_answer_with_http_is_a_model_error(
    hosting: Any, body: bytes
) -> None:
    hosting.deploy("echo")
    response = refusal(hosting, body)
    assert response["Error"]["Code"] == "ModelError"
    assert response["OriginalStatusCode"] == 0
    assert "closed the connection without an answer" in response["OriginalMessage"]


def test_a_containers_end_is_told_until_it_is_back(hosting: Any) -> None:
    hosting.deploy("echo", hosting.container(START="slow:2"))
    refusal(hosting, b"die")
    deadline = time.monotonic() + 10
    while "ended with exit code 3" not in (said := refusal(hosting, b"hello")["OriginalMessage"]):
        assert time.monotonic() < deadline, said
    assert hosting.invoke_until_served("echo") == b"hello"


def test_headers_of_the_api_reach_the_container_and_come_back(hosting: Any) -> None:
    hosting.deploy("echo")
    answer = hosting.runtime.invoke_endpoint(
        EndpointName="echo",
        Body=b"headers ",
        ContentType="text/csv; charset=utf-8",
        Accept="application/json;q=0.9",
        CustomAttributes="abc",
        InferenceId="id-1",
    )
    seen = {name.lower(): value for name, value in json.loads(answer["Body"].read()).items()}
    seen.pop("host")
    assert seen == {
        "content-type": "text/csv; charset=utf-8",
        "accept": "application/json;q=0.9",
        "content-length": "8",
        "x-amzn-sagemaker-custom-attributes": "abc",
        "x-amzn-sagemaker-inference-id": "id-1",
    }
    assert answer["CustomAttributes"] == "cba"


def test_an_empty_body_and_a_large_one_pass_through(hosting: Any) -> None:
    hosting.deploy("echo")
    assert hosting.invoke("echo", b"") == b""
    large = b"\x00\xffab" * (5 * 1024 * 1024 // 4)
    assert hosting.invoke("echo", large) == large


def test_a_body_over_the_limit_is_refused(start_hosting: Callable[..., Any]) -> None:
    hosting = start_hosting(max_invocation_bytes=1000)
    hosting.deploy("echo")
    assert len(hosting.invoke("echo", b"x" * 1000)) == 1000
    response = refusal(hosting, b"x" * 1001)
    assert response["Error"] == {
        "Code": "ValidationError",
        "Message": "1 validation error detected: Value at 'body' failed to satisfy constraint: "
        "Member must have length less than or equal to 1000",
    }
    response = refusal(hosting, b"x" * 6000)
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert response["Error"] == {
        "Code": "413",
        "Message": "HTTP content length exceeded 5096 bytes.",
    }


def test_a_body_and_an_answer_of_25_megabytes_pass_through(hosting: Any) -> None:
    hosting.deploy("echo")
    assert hosting.invoke("echo", bytes(25 * 1024 * 1024)) == bytes(25 * 1024 * 1024)
    assert "equal to 26214400" in refusal(hosting, bytes(25 * 1024 * 1024 + 1))["Error"]["Message"]


def test_an_answer_over_the_limit_is_a_model_error(start_hosting: Callable[..., Any]) -> None:
    hosting = start_hosting(max_invocation_bytes=1000)
    hosting.deploy("echo")
    assert hosting.invoke("echo", b"zeros 1000") == bytes(1000)
    response = refusal(hosting, b"zeros 1001")
    assert (response["Error"]["Code"], response["OriginalStatusCode"]) == ("ModelError", 0)
    assert response["OriginalMessage"].startswith(
        "The container primary answered with more than 1000 bytes"
    )


def test_an_unknown_endpoint_variant_or_host_is_refused(hosting: Any) -> None:
    assert refusal(hosting, b"")["Error"] == {
        "Code": "ValidationError",
        "Message": "Endpoint echo of account 000000000000 not found.",
    }
    hosting.deploy("echo")
    assert (
        "Variant Other of endpoint echo"
        in refusal(hosting, b"", TargetVariant="Other")["Error"]["Message"]
    )
    assert (
        "not in Direct mode"
        in refusal(hosting, b"", TargetContainerHostname="h")["Error"]["Message"]
    )
    assert refusal(hosting, b"", TargetModel="m.tar.gz")["Error"]["Message"] == (
        "Endpoint echo is not a multi-model endpoint and does not support target model header."
    )


def test_traffic_is_split_by_weight_and_a_variant_can_be_named(hosting: Any) -> None:
    hosting.configure("a", hosting.container(MODEL_TAG="a"))
    hosting.configure("b", hosting.container(MODEL_TAG="b"))
    hosting.sagemaker.create_endpoint_config(
        EndpointConfigName="both",
        ProductionVariants=[
            hosting.variant("a", "A", InitialVariantWeight=3),
            hosting.variant("b", "B", InitialVariantWeight=1),
        ],
    )
    hosting.sagemaker.create_endpoint(EndpointName="echo", EndpointConfigName="both")
    hosting.await_status("echo", "InService")
    seen = Counter(hosting.invoke("echo") for _ in range(200))
    assert set(seen) == {b"a:hello", b"b:hello"}
    # Seven standard deviations to either side.
    assert 100 < seen[b"a:hello"] < 195
    answer = hosting.runtime.invoke_endpoint(EndpointName="echo", Body=b"", TargetVariant="B")
    assert answer["InvokedProductionVariant"] == "B"


def test_a_pipeline_hands_each_answer_on_with_its_type(hosting: Any) -> None:
    first = hosting.container(MODEL_TAG="1", ANSWER_TYPE="text/csv")
    second = hosting.container(MODEL_TAG="2")
    hosting.deploy("echo", first, second)
    answer = hosting.runtime.invoke_endpoint(
        EndpointName="echo", Body=b"x", ContentType="application/json"
    )
    assert answer["Body"].read() == b"2:1:x"
    assert answer["ContentType"] == "text/csv"
    streams = [name.rpartition("/")[2] for name in hosting.log_lines("echo")]
    assert streams == ["container-1", "container-2"]


def test_a_pipelines_error_names_the_container(hosting: Any) -> None:
    hosting.deploy(
        "echo", hosting.container(), {**hosting.container(), "ContainerHostname": "second"}
    )
    assert "from container-1 with message" in refusal(hosting, b"status 400 no")["Error"]["Message"]


def test_in_direct_mode_each_call_names_its_container(hosting: Any) -> None:
    one = {**hosting.container(MODEL_TAG="1"), "ContainerHostname": "one"}
    two = {**hosting.container(MODEL_TAG="2"), "ContainerHostname": "two"}
    hosting.deploy("echo", one, two, model={"InferenceExecutionConfig": {"Mode": "Direct"}})
    assert hosting.invoke("echo", b"x", TargetContainerHostname="two") == b"2:x"
    wrong = refusal(hosting, b"x", TargetContainerHostname="three")
    assert "the containers are one, two" in wrong["Error"]["Message"]


def test_many_clients_at_once_get_their_own_answers(hosting: Any) -> None:
    hosting.deploy("echo")
    bodies = [f"body {number}".encode() * 100 for number in range(200)]
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda body: hosting.invoke("echo", body), bodies)) == bodies


def test_deleting_under_load_ends_in_refusals_and_nothing_hangs(hosting: Any) -> None:
    hosting.deploy("echo")
    outcomes: Counter[str] = Counter()
    stop = threading.Event()

    def hammer() -> None:
        while not stop.is_set():
            try:
                hosting.invoke("echo", b"sleep 0.01")
                outcomes["served"] += 1
            except ClientError as error:
                outcomes[error.response["Error"]["Code"]] += 1

    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(hammer)
        try:
            while outcomes["served"] < 20:
                time.sleep(0.01)
            hosting.sagemaker.delete_endpoint(EndpointName="echo")
            hosting.await_gone("echo", seconds=10)
        finally:
            stop.set()
    assert outcomes["ValidationError"]
    assert set(outcomes) <= {"served", "ValidationError", "ModelError"}

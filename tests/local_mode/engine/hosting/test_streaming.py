"""InvokeEndpointWithResponseStream: parts as they come, and how one that breaks off is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

Stream = Callable[..., Any]


@pytest.fixture
def stream() -> Iterator[Stream]:
    """Calls the endpoint `echo`; whatever a test leaves unread is closed after it."""
    bodies = []

    def call(hosting: Any, body: bytes, **more: Any) -> Any:
        answer = hosting.runtime.invoke_endpoint_with_response_stream(
            EndpointName="echo", Body=body, **more
        )
        bodies.append(answer["Body"])
        return answer

    yield call
    for body in bodies:
        body.close()


def parts(answer: Any) -> Iterator[bytes]:
    return (event["PayloadPart"]["Bytes"] for event in answer["Body"])


def test_each_part_is_there_before_the_container_makes_the_next(
    hosting: Any, stream: Stream
) -> None:
    hosting.deploy("echo")
    received = parts(stream(hosting, b"stream one two three"))
    assert next(received) == b"one"
    hosting.invoke("echo", b"go on")
    assert next(received) == b"two"
    hosting.invoke("echo", b"go on")
    assert list(received) == [b"three"]


def test_headers_go_both_ways(hosting: Any, stream: Stream) -> None:
    hosting.deploy("echo", hosting.container(ANSWER_TYPE="application/jsonlines"))
    answer = stream(hosting, b"stream one", CustomAttributes="abc")
    assert answer["ContentType"] == "application/jsonlines"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["CustomAttributes"] == "cba"
    assert list(parts(answer)) == [b"one"]
    sent = stream(hosting, b"headers ", ContentType="text/csv", Accept="application/jsonlines")
    seen = b"".join(parts(sent)).decode().lower()
    assert '"accept": "application/jsonlines"' in seen
    assert '"content-type": "text/csv"' in seen


def test_an_answer_that_is_no_stream_comes_in_parts_too(hosting: Any, stream: Stream) -> None:
    hosting.deploy("echo")
    large = b"\x00\xffab" * (5 * 1024 * 1024 // 4)
    assert b"".join(parts(stream(hosting, large))) == large
    assert list(parts(stream(hosting, b"zeros 0"))) == []


def test_a_refusal_before_the_stream_is_an_ordinary_model_error(
    hosting: Any, stream: Stream
) -> None:
    hosting.deploy("echo")
    with pytest.raises(ClientError) as caught:
        stream(hosting, b"status 415 not this")
    response: Any = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert (response["Error"]["Code"], response["OriginalStatusCode"]) == ("ModelError", 415)
    assert response["OriginalMessage"] == "not this"


def test_a_container_that_dies_breaks_the_stream_off(hosting: Any, stream: Stream) -> None:
    hosting.deploy("echo")
    received = parts(stream(hosting, b"stream one two"))
    assert next(received) == b"one"
    with pytest.raises(ClientError):
        hosting.invoke("echo", b"die")
    with pytest.raises(EventStreamError, match="The connection to your model primary") as caught:
        next(received)
    assert caught.value.response["Error"]["Code"] == "ModelStreamError"


def test_a_stream_that_does_not_end_in_time_is_cut(
    start_hosting: Callable[..., Any], stream: Stream
) -> None:
    hosting = start_hosting(stream_timeout_seconds=0.5)
    hosting.deploy("echo")
    received = parts(stream(hosting, b"drip one"))
    assert next(received) == b"one"
    with pytest.raises(EventStreamError) as caught:
        list(received)
    assert caught.value.response["Error"] == {
        "Code": "ModelStreamError",
        "Message": "Your model primary did not complete sending the inference response in the "
        "allotted time.",
    }
    assert hosting.invoke("echo") == b"hello"


def test_a_stream_that_does_not_begin_in_time_is_a_model_error(
    start_hosting: Callable[..., Any], stream: Stream
) -> None:
    hosting = start_hosting(invocation_timeout_seconds=0.5)
    hosting.deploy("echo")
    with pytest.raises(ClientError, match="Your invocation timed out while waiting"):
        stream(hosting, b"sleep 30")


def test_the_container_notices_when_the_client_leaves(hosting: Any, stream: Stream) -> None:
    hosting.deploy("echo")
    answer = stream(hosting, b"drip one")
    assert next(parts(answer)) == b"one"
    assert hosting.invoke("echo", b"dripping") == b"1"
    answer["Body"].close()
    deadline = time.monotonic() + 30
    while hosting.invoke("echo", b"dripping") != b"0":
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_update_leaves_the_stream_under_way_alone(hosting: Any, stream: Stream) -> None:
    hosting.deploy("echo")
    answer = stream(hosting, b"drip one")
    received = parts(answer)
    assert next(received) == b"one"
    hosting.configure("next", hosting.container(MODEL_TAG="next"))
    hosting.sagemaker.update_endpoint(EndpointName="echo", EndpointConfigName="next")
    while hosting.invoke("echo") != b"next:hello":
        pass
    # The old container would be stopped now.
    assert [next(received) for _ in range(20)]
    answer["Body"].close()


def test_the_last_container_of_a_pipeline_streams(hosting: Any, stream: Stream) -> None:
    hosting.deploy("echo", hosting.container(MODEL_TAG="stream one"), hosting.container())
    received = parts(stream(hosting, b"two", ContentType="text/csv"))
    assert next(received) == b"one:two"


def test_what_the_ordinary_call_refuses_this_one_refuses_too(hosting: Any, stream: Stream) -> None:
    with pytest.raises(ClientError, match="Endpoint echo of account 000000000000 not found"):
        stream(hosting, b"x")

"""Streams of events: bytes put together by hand from the specification, and botocore's reader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from botocore.eventstream import EventStream as Reader
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import EventStreamError
from botocore.model import StructureShape
from botocore.parsers import EventStreamJSONParser
from hypothesis import given
from hypothesis import strategies as st
from sagelocal.protocol import models
from sagelocal.protocol.event_stream import Event, EventStream, encode_event, encode_message
from sagelocal.protocol.responses import serialise

# Lengths and headers written by hand, both CRCs taken from the trailers that gzip writes.
GOLDEN = [
    ({}, b"", "00000010 00000000 05c248eb 7d98c8ff"),
    (
        {
            ":event-type": "PayloadPart",
            ":content-type": "application/octet-stream",
            ":message-type": "event",
        },
        b"one\n",
        "0000006d 00000059 163785c5"
        "0b 3a6576656e742d74797065 07 000b 5061796c6f616450617274"
        "0d 3a636f6e74656e742d74797065 07 0018 6170706c69636174696f6e2f6f637465742d73747265616d"
        "0d 3a6d6573736167652d74797065 07 0005 6576656e74"
        "6f6e650a 9f186d42",
    ),
    (
        {
            ":exception-type": "ModelStreamError",
            ":content-type": "application/json",
            ":message-type": "exception",
        },
        b'{"Message":"cut","ErrorCode":"StreamBroken"}',
        "0000009a 0000005e 72479c2b"
        "0f 3a657863657074696f6e2d74797065 07 0010 4d6f64656c53747265616d4572726f72"
        "0d 3a636f6e74656e742d74797065 07 0010 6170706c69636174696f6e2f6a736f6e"
        "0d 3a6d6573736167652d74797065 07 0009 657863657074696f6e"
        "7b224d657373616765223a22637574222c224572726f72436f6465223a2253747265616d42726f6b656e227d"
        "1e2c45c9",
    ),
]


@pytest.fixture(scope="module")
def service() -> models.Service:
    found = models.load("sagemaker-runtime")
    assert found is not None
    return found


@pytest.fixture(scope="module")
def shape(service: models.Service) -> StructureShape:
    output = service.operation("InvokeEndpointWithResponseStream").output_shape
    assert output is not None
    stream = output.members["Body"]
    assert isinstance(stream, StructureShape)
    return stream


class Raw:
    """What botocore reads a stream from: an answer of urllib3."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = blocks

    def stream(self) -> Iterable[bytes]:
        return self._blocks

    def close(self) -> None:
        pass


def read(shape: StructureShape, blocks: Iterable[bytes]) -> list[Mapping[str, Any]]:
    return list(Reader(Raw(blocks), shape, EventStreamJSONParser(), "Invoke"))


@pytest.mark.parametrize(("headers", "payload", "expected"), GOLDEN)
def test_messages_are_these_bytes(
    headers: Mapping[str, str], payload: bytes, expected: str
) -> None:
    assert encode_message(headers, payload) == bytes.fromhex(expected)


def test_events_of_the_model_are_these_messages(shape: StructureShape) -> None:
    part = {"PayloadPart": {"Bytes": b"one\n"}}
    assert encode_event(shape, part) == bytes.fromhex(GOLDEN[1][2])
    error = {"ModelStreamError": {"Message": "cut", "ErrorCode": "StreamBroken"}}
    assert encode_event(shape, error) == bytes.fromhex(GOLDEN[2][2])


@given(
    st.dictionaries(st.text(max_size=50), st.text(max_size=200), max_size=10),
    st.binary(max_size=5000),
)
def test_botocore_reads_any_message(headers: dict[str, str], payload: bytes) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(encode_message(headers, payload))
    (message,) = buffer
    read_back: Any = message.headers
    assert read_back == headers
    assert message.payload == payload


@given(parts=st.lists(st.binary(max_size=500), max_size=8), cut=st.integers(1, 200))
def test_botocore_reads_any_parts_however_the_bytes_come(
    shape: StructureShape, parts: list[bytes], cut: int
) -> None:
    encoded = b"".join(EventStream(shape, [{"PayloadPart": {"Bytes": part}} for part in parts]))
    blocks = [encoded[start : start + cut] for start in range(0, len(encoded), cut)]
    assert [event["PayloadPart"]["Bytes"] for event in read(shape, blocks)] == parts


@given(message=st.text(max_size=300))
def test_botocore_raises_what_a_stream_ends_with(shape: StructureShape, message: str) -> None:
    events: list[Event] = [
        {"PayloadPart": {"Bytes": b"first"}},
        {"ModelStreamError": {"Message": message, "ErrorCode": "StreamBroken"}},
    ]
    with pytest.raises(EventStreamError) as caught:
        read(shape, EventStream(shape, events))
    assert caught.value.response["Error"] == {"Code": "ModelStreamError", "Message": message}


def test_an_answer_with_a_stream_says_its_own_type_and_the_containers(
    service: models.Service,
) -> None:
    operation = service.operation("InvokeEndpointWithResponseStream")
    result = {
        "Body": [{"PayloadPart": {"Bytes": b"one\n"}}],
        "ContentType": "text/csv",
        "InvokedProductionVariant": "A",
        "CustomAttributes": "x=1",
    }
    response = serialise(service, operation, result, "request-id")
    assert dict(response.headers) == {
        "x-amzn-RequestId": "request-id",
        "Content-Type": "application/vnd.amazon.eventstream",
        "X-Amzn-SageMaker-Content-Type": "text/csv",
        "x-Amzn-Invoked-Production-Variant": "A",
        "X-Amzn-SageMaker-Custom-Attributes": "x=1",
    }
    assert not isinstance(response.body, bytes)
    assert b"".join(response.body) == bytes.fromhex(GOLDEN[1][2])


def test_closing_a_stream_closes_where_its_events_come_from(shape: StructureShape) -> None:
    closed = []

    class Source:
        def __iter__(self) -> Iterable[Any]:
            return iter(())

        def close(self) -> None:
            closed.append(True)

    EventStream(shape, Source()).close()  # type: ignore[arg-type]
    EventStream(shape, []).close()
    assert closed == [True]

"""CBOR: what botocore writes is read, what is written botocore reads, and anything else is said."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.awsrequest import HeadersDict
from botocore.model import OperationModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given
from hypothesis import strategies as st
from sagelocal.protocol import cbor, json_codec, models

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
TEXTS = st.text(min_size=1, max_size=255)
REQUESTS = st.fixed_dictionaries(
    {
        "Namespace": TEXTS,
        "MetricName": TEXTS,
        "Dimensions": st.lists(st.fixed_dictionaries({"Name": TEXTS, "Value": TEXTS}), max_size=30),
        "StartTime": MOMENTS.map(lambda moment: moment.replace(microsecond=0)),
        "EndTime": MOMENTS.map(lambda moment: moment.replace(microsecond=0)),
        "Period": st.integers(1, 2**31 - 1),
    }
)


def operation(name: str) -> OperationModel:
    service = models.load("cloudwatch")
    assert service is not None
    return service.operation(name)


@given(REQUESTS)
def test_what_botocore_writes_comes_back(request: dict[str, Any]) -> None:
    asked = operation("GetMetricStatistics")
    written: Any = create_serializer("smithy-rpc-v2-cbor").serialize_to_request(request, asked)

    assert asked.input_shape is not None
    assert json_codec.decode(asked.input_shape, cbor.decode(written["body"])) == request


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\xf9\x3e\x00", 1.5),
        (b"\xfa\x3f\xc0\x00\x00", 1.5),
        (b"\xc1\x1a\x65\x5d\x00\x00", 0x655D0000),
        (b"\x9f\x01\x02\xff", [1, 2]),
        (b"\xbf\x61a\xf6\xff", {"a": None}),
        (b"\x7f\x61a\x61b\xff", "ab"),
        (b"\x5f\x41a\xff", b"a"),
    ],
)
def test_forms_that_other_clients_choose_are_read(data: bytes, value: Any) -> None:
    assert cbor.decode(data) == value


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "end at 0"),
        (b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "inside a value"),
        (b"\x01\x01", "1 bytes follow"),
        (b"\x81" * 100 + b"\x01", "nested more than 64 deep"),
        (b"\xa1\x01\x01", "no text"),
        (b"\x61\xff", "no UTF-8"),
        (b"\x1c", "means nothing"),
        (b"\xe0", "means nothing"),
        (b"\x1f", "needs one"),
        (b"\x7f\x41a\xff", "not of one type"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, words: str) -> None:
    with pytest.raises(cbor.NotCbor, match=words):
        cbor.decode(data)


@given(st.binary(max_size=64))
def test_any_bytes_are_a_value_or_not_cbor(data: bytes) -> None:
    try:
        cbor.decode(data)
    except cbor.NotCbor:
        return


def test_a_result_is_read_by_botocore() -> None:
    shape = operation("GetMetricStatistics").output_shape
    assert shape is not None
    result = {"Label": "ü" * 300, "Datapoints": [{"Timestamp": 1795244917.5, "Average": -0.25}]}
    answer = {
        "status_code": 200,
        "headers": HeadersDict({"smithy-protocol": "rpc-v2-cbor"}),
        "body": cbor.encode(shape, result),
        "context": {},
    }
    parser: Any = create_parser("smithy-rpc-v2-cbor")
    seen = parser.parse(answer, shape)

    assert seen["Label"] == result["Label"]
    (point,) = seen["Datapoints"]
    assert (point["Timestamp"].timestamp(), point["Average"]) == (1795244917.5, -0.25)

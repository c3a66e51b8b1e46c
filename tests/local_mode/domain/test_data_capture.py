"""What is kept of a call, and where."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal.domain.data_capture import DataCapture, Side

AT = datetime(2026, 3, 4, 5, 6, 7, 89_000, UTC)
CONFIG: dict[str, Any] = {
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://bucket/captured/",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {
        "CsvContentTypes": ["text/csv"],
        "JsonContentTypes": ["application/json"],
    },
}


def capture(**changes: Any) -> DataCapture:
    found = DataCapture.of({**CONFIG, **changes})
    assert found is not None
    return found


def line(captured: DataCapture, given: Side, answered: Side, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(captured.line(given, answered, AT, **more))
    return found


def test_a_line_holds_both_sides_in_their_encodings() -> None:
    found = line(capture(), Side(b"1,2\n", "text/csv; charset=utf-8"), Side(b"\xff", "image/png"))
    event_id = found["eventMetadata"].pop("eventId")
    assert len(event_id) == 36
    assert found == {
        "captureData": {
            "endpointInput": {
                "observedContentType": "text/csv; charset=utf-8",
                "mode": "INPUT",
                "data": "1,2\n",
                "encoding": "CSV",
            },
            "endpointOutput": {
                "observedContentType": "image/png",
                "mode": "OUTPUT",
                "data": "/w==",
                "encoding": "BASE64",
            },
        },
        "eventMetadata": {"inferenceTime": "2026-03-04T05:06:07Z"},
        "eventVersion": "0",
    }


def test_a_line_tells_what_the_caller_said_of_the_call() -> None:
    found = line(
        capture(), Side(b"", None), Side(b"", None), inference_id="7", custom_attributes=["a=b"]
    )
    assert found["eventMetadata"]["inferenceId"] == "7"
    assert found["eventMetadata"]["customAttributes"] == ["a=b"]


@pytest.mark.parametrize(
    ("mode", "sides"), [("Input", {"endpointInput"}), ("Output", {"endpointOutput"})]
)
def test_only_the_sides_that_are_wanted_are_kept(mode: str, sides: set[str]) -> None:
    captured = capture(CaptureOptions=[{"CaptureMode": mode}])
    assert set(line(captured, Side(b"", ""), Side(b"", ""))["captureData"]) == sides


@given(st.binary(), st.sampled_from(["text/csv", "application/json", "TEXT/CSV", "x/y", None]))
def test_any_bytes_come_back_from_a_line(body: bytes, content_type: str | None) -> None:
    side = line(capture(), Side(body, content_type), Side(b"", None))["captureData"][
        "endpointInput"
    ]
    data = side["data"]
    assert body == (base64.b64decode(data) if side["encoding"] == "BASE64" else data.encode())


def test_lines_go_to_the_folder_of_their_hour() -> None:
    key = capture().key("endpoint", "AllTraffic", AT)
    assert key.startswith("captured/endpoint/AllTraffic/2026/03/04/05/06-07-089-")
    assert key.endswith(".jsonl")


def test_chance_keeps_what_it_should() -> None:
    assert not any(capture(InitialSamplingPercentage=0).wants() for _ in range(100))
    assert all(capture().wants() for _ in range(100))
    assert DataCapture.of(None) is None
    assert DataCapture.of({**CONFIG, "EnableCapture": False}) is None

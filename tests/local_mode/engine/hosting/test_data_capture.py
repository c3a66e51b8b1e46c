"""Calls of an endpoint that captures data are found in S3."""

from __future__ import annotations

import json
import time
from typing import Any

CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://models/captured",
    "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
    "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
}


def deploy(hosting: Any, **capture: Any) -> None:
    hosting.configure("Echo", hosting.container())
    hosting.sagemaker.delete_endpoint_config(EndpointConfigName="Echo")
    hosting.sagemaker.create_endpoint_config(
        EndpointConfigName="Echo",
        ProductionVariants=[hosting.variant("Echo")],
        DataCaptureConfig={**CAPTURE, **capture},
    )
    hosting.sagemaker.create_endpoint(EndpointName="Echo", EndpointConfigName="Echo")
    hosting.await_status("Echo", "InService")


def captured(hosting: Any) -> list[dict[str, Any]]:
    found = hosting.s3.list_objects_v2(Bucket="models", Prefix="captured/Echo/AllTraffic/")
    lines = [
        line
        for each in found.get("Contents", ())
        for line in hosting.s3.get_object(Bucket="models", Key=each["Key"])["Body"].iter_lines()
    ]
    return [json.loads(line) for line in lines]


def test_calls_are_captured_whole_and_described(hosting: Any) -> None:
    deploy(hosting)
    for number in range(3):
        hosting.invoke("Echo", b"1,%d" % number, ContentType="text/csv", InferenceId=str(number))
    deadline = time.monotonic() + 30
    while len(captured(hosting)) < 3:
        assert time.monotonic() < deadline, hosting.plane.log()
        time.sleep(0.05)
    lines = captured(hosting)
    assert [line["eventMetadata"]["inferenceId"] for line in lines] == ["0", "1", "2"]
    for side in lines[1]["captureData"].values():
        assert (side["data"], side["encoding"]) == ("1,1", "CSV")
    assert hosting.describe("Echo")["DataCaptureConfig"] == {
        "EnableCapture": True,
        "CaptureStatus": "Started",
        "CurrentSamplingPercentage": 100,
        "DestinationS3Uri": "s3://models/captured",
        "KmsKeyId": "",
    }


def test_what_was_captured_is_written_before_the_plane_ends(hosting: Any) -> None:
    deploy(hosting)
    hosting.invoke("Echo", b"last words")
    hosting.plane.stop()
    hosting.plane.start()
    assert len(captured(hosting)) == 1


def test_nothing_is_captured_when_it_is_off(hosting: Any) -> None:
    deploy(hosting, EnableCapture=False)
    hosting.invoke("Echo")
    assert hosting.describe("Echo")["DataCaptureConfig"]["CaptureStatus"] == "Stopped"
    hosting.plane.stop()
    hosting.plane.start()
    assert captured(hosting) == []

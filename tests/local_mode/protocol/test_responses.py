"""What we write is what botocore reads."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from typing import Any
from xml.etree import ElementTree

import pytest
from botocore.awsrequest import HeadersDict
from botocore.parsers import create_parser
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sagelocal.protocol import models, responses
from sagelocal.protocol.faults import Fault
from sagelocal.protocol.http import Headers, HttpRequest, HttpResponse
from sagelocal.protocol.models import Service

ShapeValues = Callable[..., st.SearchStrategy[Any]]

REQUEST_ID = "0c1b5be5-1cd9-4f5c-a8a4-7e9f3a7a6c11"


# A root of plain text, and two members of one name on the wire.
UNLIKE_THEIR_SHAPE = ("GetBucketLocation", "GetBucketNotification")


def service(name: str) -> Service:
    found = models.load(name)
    assert found is not None
    return found


def read(aws: Service, operation: str, response: HttpResponse) -> dict[str, Any]:
    """The response as a client of botocore sees it."""
    parser: Any = create_parser(aws.protocol)
    model = aws.operation(operation)
    streams = model.has_streaming_output and response.status < 300
    answer = {
        "status_code": response.status,
        "headers": HeadersDict(dict(response.headers)),
        "body": io.BytesIO(body_of(response)) if streams else body_of(response),
        "context": {},
    }
    parsed: dict[str, Any] = parser.parse(answer, model.output_shape)
    return {
        name: value.read() if hasattr(value, "read") else value for name, value in parsed.items()
    }


def body_of(response: HttpResponse) -> bytes:
    return response.body if isinstance(response.body, bytes) else b"".join(response.body)


def error_of(aws: Service, operation: str, fault: Fault, **request: Any) -> dict[str, Any]:
    request = {"method": "POST", "path": "/", **request}
    response = responses.serialise_fault(aws, HttpRequest(**request), fault, REQUEST_ID)
    return read(aws, operation, response)


def without_empty(value: Any) -> Any:
    """What no protocol can tell from nothing: empty structures, lists and maps."""
    if isinstance(value, Mapping):
        kept = {
            key: without_empty(item) for key, item in value.items() if key != "ResponseMetadata"
        }
        return {key: item for key, item in kept.items() if item not in ({}, [], b"", "")}
    if isinstance(value, list):
        return [without_empty(item) for item in value]
    return value


@pytest.mark.parametrize(
    "name", ["sagemaker", "sagemaker-runtime", "logs", "ecr", "sts", "iam", "s3", "lambda"]
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_we_serialise_is_parsed_by_botocore_to_the_same_result(
    name: str, data: st.DataObject, shape_values: ShapeValues
) -> None:
    aws = service(name)
    operations = [
        operation
        for operation in map(aws.operation, aws.model.operation_names)
        if operation.name not in UNLIKE_THEIR_SHAPE and not operation.has_event_stream_output
    ]
    operation = data.draw(st.sampled_from(operations), label="operation")
    result = data.draw(shape_values(operation.output_shape)) if operation.output_shape else {}
    response = responses.serialise(aws, operation, result, REQUEST_ID)
    seen = read(aws, operation.name, response)
    for member in {"StatusCode", "Status"} - result.keys():
        seen.pop(member, None)  # Lambda's: the HTTP status, which there always is
    assert without_empty(result) == without_empty(seen)


def test_a_date_is_seconds_in_json_and_milliseconds_are_kept() -> None:
    aws = service("sagemaker")
    result: dict[str, Any] = {
        "TrainingJobArn": "arn:aws:sagemaker:us-east-1:000000000000:training-job/a"
    }
    result |= {"CreationTime": 1763702400.1239}
    response = responses.serialise(aws, aws.operation("DescribeTrainingJob"), result, REQUEST_ID)
    assert json.loads(body_of(response))["CreationTime"] == 1763702400.124


def test_unset_members_are_absent_rather_than_null_or_empty() -> None:
    aws = service("sagemaker")
    result = {"EndpointName": "e", "FailureReason": None}
    response = responses.serialise(aws, aws.operation("DescribeEndpoint"), result, REQUEST_ID)
    assert json.loads(body_of(response)) == {"EndpointName": "e"}


def test_json_says_its_version_and_the_request_id() -> None:
    aws = service("sagemaker")
    response = responses.serialise(aws, aws.operation("DeleteEndpoint"), {}, REQUEST_ID)
    assert dict(response.headers) == {
        "x-amzn-RequestId": REQUEST_ID,
        "Content-Type": "application/x-amz-json-1.1",
    }


@pytest.mark.parametrize(
    ("operation", "root"),
    [
        ("ListObjectsV2", "ListBucketResult"),
        ("ListBuckets", "ListAllMyBucketsResult"),
        ("CreateMultipartUpload", "InitiateMultipartUploadResult"),
        ("DeleteObjects", "DeleteResult"),
        ("CopyObject", "CopyObjectResult"),
    ],
)
def test_s3_answers_have_the_roots_of_the_api_reference(operation: str, root: str) -> None:
    aws = service("s3")
    result = {"CopyObjectResult": {"ETag": '"e"'}}
    response = responses.serialise(aws, aws.operation(operation), result, REQUEST_ID)
    tag = ElementTree.fromstring(body_of(response)).tag
    assert tag == f"{{http://s3.amazonaws.com/doc/2006-03-01/}}{root}"


def test_s3_dates_have_milliseconds_in_bodies_and_are_http_dates_in_headers() -> None:
    aws = service("s3")
    listing = {"Contents": [{"Key": "k", "LastModified": 1763702400.5}]}
    response = responses.serialise(aws, aws.operation("ListObjectsV2"), listing, REQUEST_ID)
    assert b"<LastModified>2025-11-21T05:20:00.500Z</LastModified>" in body_of(response)
    head = {"LastModified": 1763702400.5}
    response = responses.serialise(aws, aws.operation("HeadObject"), head, REQUEST_ID)
    assert dict(response.headers)["Last-Modified"] == "Fri, 21 Nov 2025 05:20:00 GMT"


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"LocationConstraint": "eu-west-1"}, "eu-west-1"),
        ({"LocationConstraint": "us-east-1"}, None),
        ({}, None),
    ],
)
def test_a_bucket_location_is_a_bare_root(result: dict[str, str], text: str | None) -> None:
    aws = service("s3")
    response = responses.serialise(aws, aws.operation("GetBucketLocation"), result, REQUEST_ID)
    root = ElementTree.fromstring(body_of(response))
    assert (root.tag.rpartition("}")[2], root.text) == ("LocationConstraint", text)


def test_a_part_of_an_object_is_206() -> None:
    aws = service("s3")
    result = {"Body": b"ab", "ContentRange": "bytes 0-1/10", "ContentLength": 2}
    response = responses.serialise(aws, aws.operation("GetObject"), result, REQUEST_ID)
    assert (response.status, response.body) == (206, b"ab")


def test_a_result_can_set_a_status_and_headers_that_have_no_member() -> None:
    aws = service("s3")
    extra = {"HTTPStatusCode": 202, "HTTPHeaders": {"x-amz-bucket-region": "us-east-1"}}
    response = responses.serialise(
        aws, aws.operation("HeadBucket"), {"ResponseMetadata": extra}, REQUEST_ID
    )
    assert response.status == 202
    assert ("x-amz-bucket-region", "us-east-1") in response.headers


def test_markup_and_control_characters_in_keys_survive_xml() -> None:
    aws = service("s3")
    key = "a<b>&\"'\r c"
    listing = {"Contents": [{"Key": key}]}
    response = responses.serialise(aws, aws.operation("ListObjectsV2"), listing, REQUEST_ID)
    assert read(aws, "ListObjectsV2", response)["Contents"] == [{"Key": key}]


def test_a_json_fault_has_type_and_message() -> None:
    fault = Fault("ResourceNotFound", "Requested resource not found.")
    seen = error_of(service("sagemaker"), "DescribeTrainingJob", fault)
    assert seen["Error"] == {
        "Code": "ResourceNotFound",
        "Message": "Requested resource not found.",
    }
    assert seen["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert seen["ResponseMetadata"]["RequestId"] == REQUEST_ID


def test_a_model_error_has_its_status_and_members() -> None:
    members = {"OriginalStatusCode": 415, "OriginalMessage": "no", "LogStreamArn": "arn:aws:logs"}
    fault = Fault("ModelError", "Received client error (415)", members=members)
    seen = error_of(service("sagemaker-runtime"), "InvokeEndpoint", fault)
    assert seen["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert seen["Error"]["Code"] == "ModelError"
    response = responses.serialise_fault(
        service("sagemaker-runtime"), HttpRequest("POST", "/"), fault, REQUEST_ID
    )
    assert json.loads(body_of(response)) == {"Message": "Received client error (415)", **members}
    assert dict(response.headers)["x-amzn-ErrorType"] == "ModelError"


def test_a_query_fault_is_xml_with_the_code_of_the_wire() -> None:
    """The shape is NoSuchEntityException, the code NoSuchEntity; either may be raised."""
    for code in ("NoSuchEntity", "NoSuchEntityException"):
        seen = error_of(service("iam"), "GetUser", Fault(code, "The user cannot be found."))
        assert seen["Error"]["Code"] == "NoSuchEntity"
        assert seen["Error"]["Message"] == "The user cannot be found."
        assert seen["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_an_ec2_fault_is_read_by_its_client() -> None:
    seen = error_of(service("ec2"), "DescribeInstances", Fault("InvalidAction", "Not here."))
    assert seen["Error"] == {"Code": "InvalidAction", "Message": "Not here."}


def test_an_s3_fault_has_its_members_and_the_resource() -> None:
    fault = Fault("NoSuchKey", "The specified key does not exist.", members={"Key": "a&b"})
    seen = error_of(service("s3"), "GetObject", fault, method="GET", path="/bucket/a%26b")
    assert seen["Error"] == {
        "Code": "NoSuchKey",
        "Message": "The specified key does not exist.",
        "Key": "a&b",
        "Resource": "/bucket/a%26b",
    }
    assert seen["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert seen["ResponseMetadata"]["RequestId"] == REQUEST_ID


@pytest.mark.parametrize(("method", "status"), [("HEAD", 404), ("GET", 304)])
def test_a_head_and_a_not_modified_have_no_body(method: str, status: int) -> None:
    fault = Fault("Any", "text", status=status, headers={"ETag": '"e"'})
    request = HttpRequest(method, "/bucket/key")
    response = responses.serialise_fault(service("s3"), request, fault, REQUEST_ID)
    assert (response.status, response.body) == (status, b"")
    assert ("ETag", '"e"') in response.headers


@pytest.mark.parametrize(
    ("headers", "content_type"),
    [
        ({"X-Amz-Target": "Strange.Operation"}, "application/x-amz-json-1.1"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "text/xml"),
        ({"smithy-protocol": "rpc-v2-cbor"}, "application/cbor"),
        ({}, "application/json"),
    ],
)
def test_a_fault_of_an_unknown_service_is_in_the_protocol_of_the_request(
    headers: dict[str, str], content_type: str
) -> None:
    request = HttpRequest("POST", "/", headers=Headers(headers))
    response = responses.serialise_fault(None, request, Fault("X", "y"), REQUEST_ID)
    assert dict(response.headers)["Content-Type"] == content_type
    assert response.status == 400


def test_a_cbor_fault_is_read_by_botocore() -> None:
    request = HttpRequest("POST", "/", headers=Headers({"smithy-protocol": "rpc-v2-cbor"}))
    fault = Fault("UnknownOperationException", "ListMetrics is not available. " * 20)
    response = responses.serialise_fault(None, request, fault, REQUEST_ID)
    answer = {
        "status_code": response.status,
        "headers": HeadersDict(dict(response.headers)),
        "body": response.body,
        "context": {"operation_name": "ListMetrics"},
    }
    parser: Any = create_parser("smithy-rpc-v2-cbor")
    seen = parser.parse(answer, service("cloudwatch").operation("ListMetrics").output_shape)
    assert seen["Error"] == {"Code": fault.code, "Message": fault.message}

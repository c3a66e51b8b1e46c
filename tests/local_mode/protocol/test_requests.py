"""What botocore writes is what we read."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, cast

import pytest
from botocore.model import OperationModel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sagelocal.protocol import models, requests
from sagelocal.protocol.faults import Fault
from sagelocal.protocol.http import Headers, HttpRequest
from sagelocal.protocol.models import Service

RequestOf = Callable[[Service, OperationModel, Mapping[str, Any]], HttpRequest]
ShapeValues = Callable[..., st.SearchStrategy[Any]]


def service(name: str) -> Service:
    found = models.load(name)
    assert found is not None
    return found


# Requests of S3 that are one and the same on the wire.
SAME = {
    "ListDirectoryBuckets": "ListBuckets",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
}


def plain(value: Any) -> Any:
    """Streams read, so that values can be compared."""
    if hasattr(value, "read"):
        return value.read()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value


@pytest.mark.parametrize(
    "name", ["sagemaker", "sagemaker-runtime", "logs", "ecr", "sts", "iam", "s3", "lambda"]
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_botocore_serialises_is_parsed_to_the_same_parameters(
    name: str, data: st.DataObject, request_of: RequestOf, shape_values: ShapeValues
) -> None:
    aws = service(name)
    operations = [
        operation
        for operation in map(aws.operation, aws.model.operation_names)
        if operation.name not in SAME and not operation.has_event_stream_input
    ]
    operation = data.draw(st.sampled_from(operations), label="operation")
    params = data.draw(shape_values(operation.input_shape)) if operation.input_shape else {}
    parsed = requests.parse(aws, request_of(aws, operation, params))
    assert parsed.operation.name == operation.name
    assert _without_empty(plain(parsed.parameters)) == _without_empty(params)


def _without_empty(value: Any) -> Any:
    """What no protocol can tell from nothing: empty structures, lists, maps and bodies."""
    if isinstance(value, Mapping):
        kept = {key: _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in ({}, [], b"", "")}
    if isinstance(value, list):
        return [_without_empty(item) for item in value]
    return value


def s3_request(method: str, target: str, host: str = "127.0.0.1:4570", **headers: str) -> Any:
    path, _, query = target.partition("?")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpRequest(method, path, query, Headers({"Host": host, **named}))


@pytest.mark.parametrize(
    ("method", "target", "operation"),
    [
        ("GET", "/", "ListBuckets"),
        ("GET", "/b", "ListObjects"),
        ("GET", "/b/", "ListObjects"),
        ("GET", "/b?list-type=2&prefix=a", "ListObjectsV2"),
        ("GET", "/b?versions", "ListObjectVersions"),
        ("GET", "/b?uploads", "ListMultipartUploads"),
        ("GET", "/b?location=", "GetBucketLocation"),
        ("GET", "/b?lifecycle", "GetBucketLifecycleConfiguration"),
        ("HEAD", "/b", "HeadBucket"),
        ("PUT", "/b/", "CreateBucket"),
        ("DELETE", "/b", "DeleteBucket"),
        ("POST", "/b?delete", "DeleteObjects"),
        ("GET", "/b/k", "GetObject"),
        ("GET", "/b/k?x-id=GetObject", "GetObject"),
        ("GET", "/b/k?tagging", "GetObjectTagging"),
        ("GET", "/b/k?uploadId=u", "ListParts"),
        ("HEAD", "/b/k", "HeadObject"),
        ("PUT", "/b/k", "PutObject"),
        ("PUT", "/b/k?partNumber=1&uploadId=u", "UploadPart"),
        ("POST", "/b/k?uploads", "CreateMultipartUpload"),
        ("POST", "/b/k?uploadId=u", "CompleteMultipartUpload"),
        ("DELETE", "/b/k?uploadId=u", "AbortMultipartUpload"),
        ("DELETE", "/b/k", "DeleteObject"),
    ],
)
def test_s3_is_routed_by_method_path_and_query(method: str, target: str, operation: str) -> None:
    assert requests.parse(service("s3"), s3_request(method, target)).operation.name == operation


def test_a_copy_is_told_from_a_put_by_its_header() -> None:
    copy = s3_request("PUT", "/b/k", x_amz_copy_source="/b/old")
    part = s3_request("PUT", "/b/k?partNumber=1&uploadId=u", x_amz_copy_source="/b/old")
    assert requests.parse(service("s3"), copy).operation.name == "CopyObject"
    assert requests.parse(service("s3"), part).operation.name == "UploadPartCopy"


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/b/a%2Fb", "a/b"),
        ("/b//a", "/a"),
        ("/b/a//b/", "a//b/"),
        ("/b/a+b%2B", "a+b+"),
        ("/b/%C3%BC", "ü"),
        ("/b/a%0Ab", "a\nb"),
        ("/b/%2520", "%20"),
    ],
)
def test_a_key_is_decoded_once_and_not_normalised(path: str, key: str) -> None:
    parsed = requests.parse(service("s3"), s3_request("GET", path))
    assert parsed.parameters == {"Bucket": "b", "Key": key}


@pytest.mark.parametrize(
    "host",
    [
        "b.localhost:4570",
        "b.s3.localhost",
        "b.s3.amazonaws.com",
        "b.s3.eu-west-1.amazonaws.com",
        "b.s3-eu-west-1.amazonaws.com",
    ],
)
def test_a_bucket_may_be_in_the_host_name(host: str) -> None:
    parsed = requests.parse(service("s3"), s3_request("GET", "/k", host))
    assert parsed.parameters == {"Bucket": "b", "Key": "k"}


@pytest.mark.parametrize(
    "host", ["localhost:4570", "s3.localhost", "s3.amazonaws.com", "s3.eu-west-1.amazonaws.com"]
)
def test_a_host_name_of_s3_itself_holds_no_bucket(host: str) -> None:
    parsed = requests.parse(service("s3"), s3_request("GET", "/b/k", host))
    assert parsed.parameters == {"Bucket": "b", "Key": "k"}


def test_metadata_is_a_map_of_headers_and_a_body_is_a_stream() -> None:
    body = io.BytesIO(b"text")
    headers = Headers({"x-amz-meta-One": "1", "X-Amz-Meta-two_2": "2", "x-amz-other": "3"})
    request = HttpRequest("PUT", "/b/k", headers=headers, body=body)
    parsed = requests.parse(service("s3"), request)
    assert parsed.parameters["Metadata"] == {"one": "1", "two_2": "2"}
    assert parsed.parameters["Body"] is body


def json_fault(body: bytes, target: str = "SageMaker.CreateTrainingJob") -> Fault:
    headers = Headers({"X-Amz-Target": target})
    with pytest.raises(Fault) as caught:
        requests.parse(
            service("sagemaker"), HttpRequest("POST", "/", "", headers, io.BytesIO(body))
        )
    return caught.value


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"TrainingJobName": 1}', "NUMBER_VALUE can not be converted to a String"),
        (b'{"TrainingJobName": true}', "TRUE_VALUE can not be converted to a String"),
        (
            b'{"ResourceConfig": {"InstanceCount": "1"}}',
            "STRING_VALUE can not be converted to an Integer",
        ),
        (b'{"ResourceConfig": []}', "Start of list found where a structure was expected."),
        (b'{"Tags": {}}', "Start of structure or map found where a list was expected."),
        (b"[]", "Start of list found where a structure was expected."),
        (
            b'{"ResourceConfig": {"InstanceCount": 2147483648}}',
            "NUMBER_VALUE can not be converted to an Integer",
        ),
        (
            b'{"ResourceConfig": {"InstanceCount": 1' + b"0" * 400 + b"}}",
            "NUMBER_VALUE can not be converted to an Integer",
        ),
        (
            b'{"TrainingJobName": "\\ud800"}',
            "a String has half of a surrogate pair, which is no character",
        ),
        (
            b'{"HyperParameters": {"\\udfff": "1"}}',
            "a String has half of a surrogate pair, which is no character",
        ),
    ],
)
def test_a_value_of_the_wrong_type_is_a_serialization_exception(body: bytes, text: str) -> None:
    fault = json_fault(body)
    assert (fault.code, fault.status, fault.message) == ("SerializationException", 400, text)


def test_what_is_no_json_is_a_serialization_exception() -> None:
    assert json_fault(b"{").code == "SerializationException"


def test_null_is_absent_and_unknown_members_are_dropped() -> None:
    headers = Headers({"X-Amz-Target": "SageMaker.DescribeEndpoint"})
    body = io.BytesIO(b'{"EndpointName": null, "Nonesuch": 1}')
    parsed = requests.parse(service("sagemaker"), HttpRequest("POST", "/", "", headers, body))
    assert parsed.parameters == {}


def test_an_operation_that_aws_does_not_know_is_named() -> None:
    fault = json_fault(b"{}", "SageMaker.MakeTea")
    assert (fault.code, fault.status) == ("UnknownOperationException", 400)
    assert "MakeTea" in fault.message


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"Action=MakeTea&Version=2011-06-15", "InvalidAction"),
        (b"Version=2011-06-15", "MissingAction"),
        (b"Action=GetSessionToken&DurationSeconds=long", "MalformedInput"),
    ],
)
def test_a_query_that_cannot_be_understood_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(Fault) as caught:
        requests.parse(service("sts"), HttpRequest("POST", "/", body=io.BytesIO(body)))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (HttpRequest("PATCH", "/b/k"), "MethodNotAllowed"),
        (HttpRequest("PUT", "/b/k", "partNumber=one&uploadId=u"), "InvalidArgument"),
        (HttpRequest("POST", "/b", "delete", body=io.BytesIO(b"<Delete>")), "MalformedXML"),
        (
            HttpRequest("POST", "/b", "delete", body=io.BytesIO(b"<D><Quiet>no</Quiet></D>")),
            "MalformedXML",
        ),
    ],
)
def test_an_s3_request_that_cannot_be_understood_is_refused(
    request_: HttpRequest, code: str
) -> None:
    with pytest.raises(Fault) as caught:
        requests.parse(service("s3"), request_)
    assert caught.value.code == code


class Endless(io.RawIOBase):
    """A body that goes on and on; `given` counts what was taken of it."""

    given = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert size >= 0
        given = min(size, 1 << 20)
        self.given += given
        return b"x" * given


@pytest.mark.parametrize(
    ("name", "method", "target", "headers", "code", "status"),
    [
        (
            "sagemaker",
            "POST",
            "/",
            {"X-Amz-Target": "SageMaker.DescribeEndpoint"},
            "RequestEntityTooLargeException",
            413,
        ),
        ("sts", "POST", "/", {}, "RequestEntityTooLargeException", 413),
        ("s3", "POST", "/b?delete", {}, "MaxMessageLengthExceeded", 400),
        ("s3", "PUT", "/b?policy", {}, "MaxMessageLengthExceeded", 400),
    ],
)
def test_a_document_without_end_is_refused_and_not_kept(
    name: str, method: str, target: str, headers: dict[str, str], code: str, status: int
) -> None:
    path, _, query = target.partition("?")
    body = Endless()
    request = HttpRequest(method, path, query, Headers(headers), cast(BinaryIO, body))
    with pytest.raises(Fault) as caught:
        requests.parse(service(name), request)
    assert (code, status) == (caught.value.code, caught.value.status)
    assert body.given == requests.MOST_DOCUMENT_BYTES + 1


def test_a_blob_is_cut_behind_its_limit_for_the_operation_to_refuse_it() -> None:
    body = Endless()
    request = HttpRequest("POST", "/endpoints/e/invocations", body=cast(BinaryIO, body))
    parsed = requests.parse(service("sagemaker-runtime"), request, most_blob_bytes=100)
    assert (len(parsed.parameters["Body"]), body.given) == (101, 101)


def test_a_form_of_many_dots_is_read_in_no_time() -> None:
    """Every dot begins a member of a member; keys of all their beginnings would fill the memory."""
    form = b"Action=GetSessionToken&" + b"a." * 400_000 + b"b=1&DurationSeconds=900"
    parsed = requests.parse(service("sts"), HttpRequest("POST", "/", body=io.BytesIO(form)))
    assert parsed.parameters == {"DurationSeconds": 900}


def test_xml_with_a_document_type_is_refused() -> None:
    document = b'<!DOCTYPE D [<!ENTITY k "key">]><Delete><Object><Key>&k;</Key></Object></Delete>'
    for body in (document, document.decode().encode("utf-16")):
        with pytest.raises(Fault) as caught:
            requests.parse(
                service("s3"), HttpRequest("POST", "/b", "delete", body=io.BytesIO(body))
            )
        assert caught.value.code == "MalformedXML"


def test_xml_is_read_with_its_namespace_or_without() -> None:
    for attribute in ("", ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'):
        body = f"<Delete{attribute}><Object><Key>a</Key></Object></Delete>".encode()
        request = HttpRequest("POST", "/b", "delete", body=io.BytesIO(body))
        parsed = requests.parse(service("s3"), request)
        assert parsed.parameters["Delete"] == {"Objects": [{"Key": "a"}]}

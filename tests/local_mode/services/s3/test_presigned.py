"""Presigned URLs of both signature versions: usable in their time, refused outside it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest


@pytest.fixture(params=["s3v4", "s3"], ids=["SigV4", "SigV2"])
def signer(server: Any, request: pytest.FixtureRequest) -> Any:
    return server.client(signature_version=request.param)


def target(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def altered(url: str, **changes: str | None) -> str:
    """The URL with parameters changed, or left out where None; `X_Amz_Date` is X-Amz-Date."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    for name, value in changes.items():
        query.pop(name.replace("_", "-"), None)
        if value is not None:
            query[name.replace("_", "-")] = value
    return f"{parts.path}?{urlencode(query)}"


def test_a_url_gets_and_puts_without_keys(server: Any, signer: Any, bucket: str) -> None:
    put = signer.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "a b+c"})
    assert server.request("PUT", target(put), b"content").status == 200
    get = signer.generate_presigned_url(
        "get_object", {"Bucket": bucket, "Key": "a b+c", "ResponseContentType": "text/x"}
    )
    answer = server.request("GET", target(get))
    assert (
        answer.status,
        answer.body,
        answer.headers["content-type"],
    ) == (200, b"content", "text/x")


def test_a_url_out_of_its_time_is_refused(server: Any, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    parameters = {"Bucket": bucket, "Key": "key"}
    url = server.client(signature_version="s3v4").generate_presigned_url("get_object", parameters)
    old = (datetime.now(UTC) - timedelta(seconds=3700)).strftime("%Y%m%dT%H%M%SZ")
    early = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y%m%dT%H%M%SZ")
    for path, message in (
        (altered(url, X_Amz_Date=old), b"Request has expired"),
        (altered(url, X_Amz_Date=early), b"Request is not yet valid"),
    ):
        answer = server.request("GET", path)
        assert answer.status == 403
        assert b"<Code>AccessDenied</Code>" in answer.body
        assert message in answer.body
    url = server.client(signature_version="s3").generate_presigned_url("get_object", parameters)
    answer = server.request("GET", altered(url, Expires=str(int(time.time()) - 1)))
    assert (answer.status, b"Request has expired" in answer.body) == (403, True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X_Amz_Expires": "604801"}, b"must be less than a week"),
        ({"X_Amz_Expires": "-1"}, b"X-Amz-Expires must be non-negative"),
        ({"X_Amz_Expires": "soon"}, b"X-Amz-Expires should be a number"),
        ({"X_Amz_Expires": None}, b"requires the X-Amz-Algorithm"),
        ({"X_Amz_SignedHeaders": None}, b"requires the X-Amz-Algorithm"),
        ({"X_Amz_Date": "yesterday"}, b"ISO8601 Long Format"),
        ({"X_Amz_Algorithm": "ROT13"}, b"X-Amz-Algorithm only supports"),
    ],
)
def test_a_malformed_version_4_query_is_told_so(
    server: Any, bucket: str, changes: dict[str, str | None], message: bytes
) -> None:
    url = server.client(signature_version="s3v4").generate_presigned_url(
        "get_object", {"Bucket": bucket, "Key": "key"}
    )
    answer = server.request("GET", altered(url, **changes))
    assert answer.status == 400
    assert b"<Code>AuthorizationQueryParametersError</Code>" in answer.body
    assert message in answer.body


@pytest.mark.parametrize("changes", [{"Expires": None}, {"Expires": "soon"}, {"Signature": None}])
def test_a_malformed_version_2_query_is_denied(
    server: Any, bucket: str, changes: dict[str, str | None]
) -> None:
    url = server.client(signature_version="s3").generate_presigned_url(
        "get_object", {"Bucket": bucket, "Key": "key"}
    )
    answer = server.request("GET", altered(url, **changes))
    assert (answer.status, b"<Code>AccessDenied</Code>" in answer.body) == (403, True)


def test_what_the_query_says_counts_as_headers(server: Any, s3: Any, bucket: str) -> None:
    signer = server.client(signature_version="s3")
    url = signer.generate_presigned_url(
        "put_object",
        {
            "Bucket": bucket,
            "Key": "key",
            "Metadata": {"venue": "123"},
            "ContentType": "text/csv",
            "Tagging": "a=1",
        },
    )
    assert server.request("PUT", target(url), b"content").status == 200
    head = s3.head_object(Bucket=bucket, Key="key")
    assert (head["Metadata"], head["ContentType"], head["TagCount"]) == (
        {"venue": "123"},
        "text/csv",
        1,
    )
    copy = {"Bucket": bucket, "Key": "copy", "CopySource": f"{bucket}/key"}
    url = signer.generate_presigned_url("copy_object", copy)
    assert b"CopyObjectResult" in server.request("PUT", target(url)).body
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"content"


def test_a_url_is_used_with_the_headers_that_were_signed(server: Any, s3: Any, bucket: str) -> None:
    signer = server.client(signature_version="s3v4")
    parameters = {"Bucket": bucket, "Key": "key", "Metadata": {"venue": "123"}}
    path = target(signer.generate_presigned_url("put_object", parameters))
    signed = {"x-amz-meta-venue": "123"}
    assert server.request("PUT", path, b"content", signed).status == 200
    assert s3.head_object(Bucket=bucket, Key="key")["Metadata"] == {"venue": "123"}
    answer = server.request("PUT", path, b"other")
    assert answer.status == 403
    assert b"<Code>SignatureDoesNotMatch</Code>" in answer.body
    answer = server.request("PUT", path, b"other", {**signed, "x-amz-meta-b": "2"})
    assert answer.status == 403
    assert b"<HeadersNotSigned>x-amz-meta-b</HeadersNotSigned>" in answer.body
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"content"

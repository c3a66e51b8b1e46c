"""Uploads by an HTML form, as `generate_presigned_post` makes them."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import pytest

from tests.local_mode.services.s3.conftest import Answer, S3Server

BOUNDARY = "----form-7d1"
EXPIRED = "2001-01-01T00:00:00Z"
LATER = "2999-01-01T00:00:00.000Z"


def form(fields: dict[str, str], file: bytes | None, filename: str = "train.csv") -> bytes:
    """A browser's form; `file` comes last."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    if file is not None:
        head = f'Content-Disposition: form-data; name="file"; filename="{filename}"'
        start = f"--{BOUNDARY}\r\n{head}\r\nContent-Type: text/csv\r\n\r\n".encode()
        parts.append(start + file + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def post(server: S3Server, bucket: str, body: bytes) -> Answer:
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return server.request("POST", f"/{bucket}", body, headers)


def policy(*conditions: Any, expiration: str = LATER) -> dict[str, str]:
    """The fields of a signed policy with these conditions."""
    document = {"expiration": expiration, "conditions": list(conditions)}
    return {
        "policy": base64.b64encode(json.dumps(document).encode()).decode(),
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": "x/20260101/us-east-1/s3/aws4_request",
        "x-amz-date": "20260101T000000Z",
        "x-amz-signature": "0" * 64,
    }


SIGNING = (
    ["starts-with", "$x-amz-algorithm", ""],
    ["starts-with", "$x-amz-credential", ""],
    ["starts-with", "$x-amz-date", ""],
)


def error_of(answer: Answer) -> tuple[int, str, str]:
    root = ElementTree.fromstring(answer.body)
    return answer.status, root.findtext("Code") or "", root.findtext("Message") or ""


@pytest.mark.parametrize("signature", ["s3", "s3v4"])
def test_a_presigned_form_uploads_a_file(
    server: S3Server, bucket: str, signature: str, s3: Any
) -> None:
    signed = server.client(signature_version=signature).generate_presigned_post(
        bucket,
        "data/${filename}",
        Fields={"Content-Type": "text/csv", "x-amz-meta-a": "1"},
        Conditions=[
            {"Content-Type": "text/csv"},
            {"x-amz-meta-a": "1"},
            ["content-length-range", 1, 3_000_000],
        ],
    )
    assert signed["url"] == f"{server.url}/{bucket}"
    file = b"1,2\r\n--" + b"x" * 2_000_000 + b"\r\n----form-7d"
    answer = post(server, bucket, form(signed["fields"], file))
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["location"] == f"{server.url}/{bucket}/data/train.csv"
    got = s3.get_object(Bucket=bucket, Key="data/train.csv")
    assert file == got["Body"].read()
    assert (got["ContentType"], got["Metadata"]) == ("text/csv", {"a": "1"})
    assert answer.headers["etag"] == got["ETag"]


def test_the_answer_is_the_one_that_the_form_asks_for(
    server: S3Server, bucket: str, s3: Any
) -> None:
    tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>1 &amp; 2</Value></Tag></TagSet></Tagging>"
    fields = {"key": "ä &.csv", "tagging": tags, "success_action_status": "201"}
    answer = post(server, bucket, form(fields, b""))
    assert answer.status == 201
    root = ElementTree.fromstring(answer.body)
    assert root.tag == "PostResponse"
    assert (bucket, "ä &.csv") == (root.findtext("Bucket"), root.findtext("Key"))
    assert answer.headers["etag"] == root.findtext("ETag")
    tag_set = s3.get_object_tagging(Bucket=bucket, Key="ä &.csv")["TagSet"]
    assert tag_set == [{"Key": "a", "Value": "1 & 2"}]
    fields = {"key": "k", "success_action_redirect": "http://localhost/done?x=1"}
    answer = post(server, bucket, form(fields, b"body"))
    assert answer.status == 303
    told = parse_qs(urlsplit(answer.headers["location"]).query)
    assert {"x": ["1"], "bucket": [bucket], "key": ["k"], "etag": [answer.headers["etag"]]} == told
    answer = post(server, bucket, form({"key": "k", "success_action_status": "200"}, b"body"))
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    ("conditions", "fields", "code", "message"),
    [
        (
            [{"key": "other"}],
            {},
            "AccessDenied",
            'Policy Condition failed: ["eq", "$key", "other"]',
        ),
        (
            [["starts-with", "$key", "data/"]],
            {},
            "AccessDenied",
            'Policy Condition failed: ["starts-with", "$key", "data/"]',
        ),
        (
            [["eq", "$key", "k"]],
            {"x-amz-meta-a": "1"},
            "AccessDenied",
            "Extra input fields: x-amz-meta-a",
        ),
        (
            [{"key": "k"}, ["content-length-range", 5, 10]],
            {},
            "EntityTooSmall",
            "smaller than the minimum allowed size",
        ),
        (
            [{"key": "k"}, ["content-length-range", 0, 3]],
            {},
            "EntityTooLarge",
            "exceeds the maximum allowed size",
        ),
        ([["like", "$key", "k"]], {}, "InvalidPolicyDocument", "Invalid Condition"),
    ],
)
def test_what_the_policy_does_not_allow_is_refused(
    server: S3Server,
    s3: Any,
    bucket: str,
    conditions: list[Any],
    fields: dict[str, str],
    code: str,
    message: str,
) -> None:
    signed = policy({"bucket": bucket}, *SIGNING, *conditions)
    answer = post(server, bucket, form({"key": "k", **fields, **signed}, b"body"))
    status, found, text = error_of(answer)
    assert (403 if code == "AccessDenied" else 400, code) == (status, found)
    assert message in text
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_policy_lives_until_it_expires_and_needs_a_signature(
    server: S3Server, bucket: str
) -> None:
    allowed = ({"bucket": bucket}, {"key": "k"}, *SIGNING)
    answer = post(server, bucket, form({"key": "k", **policy(*allowed)}, b""))
    assert answer.status == 204
    late = policy(*allowed, expiration=EXPIRED)
    answer = post(server, bucket, form({"key": "k", **late}, b""))
    expired = (403, "AccessDenied", "Invalid according to Policy: Policy expired.")
    assert expired == error_of(answer)
    unsigned = policy(*allowed)
    del unsigned["x-amz-signature"]
    status, code, message = error_of(post(server, bucket, form({"key": "k", **unsigned}, b"")))
    assert (status, code) == (400, "InvalidArgument")
    assert "must contain a field named 'X-Amz-Signature'" in message
    broken = {**policy(*allowed), "policy": "no JSON"}
    answer = post(server, bucket, form({"key": "k", **broken}, b""))
    assert error_of(answer)[1] == "InvalidPolicyDocument"


def test_a_form_that_is_none_is_told_what_it_lacks(server: S3Server, bucket: str) -> None:
    whole = form({"key": "k"}, b"body")
    for body, code in (
        (form({}, b"body"), "InvalidArgument"),
        (form({"key": "k"}, None), "InvalidArgument"),
        (b"no form", "MalformedPOSTRequest"),
        (whole[:-60], "MalformedPOSTRequest"),
        (form({"key": "k", "x-ignore-a": "a" * 30_000}, b""), "MaxPostPreDataLengthExceeded"),
    ):
        assert (400, code) == error_of(post(server, bucket, body))[:2], body[:80]
    answer = post(server, "no-such-bucket", whole)
    assert error_of(answer)[:2] == (404, "NoSuchBucket")

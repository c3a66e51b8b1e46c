"""PutObject, GetObject, HeadObject, DeleteObject as boto3 sees them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

BODY = bytes(range(256)) * 4
Refused = Callable[..., dict[str, Any]]


def test_an_object_comes_back_with_everything_that_was_put(s3: Any, bucket: str) -> None:
    expires = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    put = s3.put_object(
        Bucket=bucket,
        Key="folder/ä b+c%2F~.csv",
        Body=BODY,
        ContentType="text/csv",
        ContentEncoding="gzip",
        ContentDisposition='attachment; filename="x"',
        ContentLanguage="de",
        CacheControl="max-age=3",
        Expires=expires,
        StorageClass="STANDARD_IA",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId="arn:aws:kms:us-east-1:000000000000:key/k",
        Metadata={"Job": "linear", "under_score": "1"},
        Tagging="team=ml&stage=a%20b",
    )
    got = s3.get_object(Bucket=bucket, Key="folder/ä b+c%2F~.csv")
    assert got["Body"].read() == BODY
    assert f'"{hashlib.md5(BODY).hexdigest()}"' == put["ETag"] == got["ETag"]
    expected = {
        "ContentLength": 1024,
        "ContentType": "text/csv",
        "ContentEncoding": "gzip",
        "ContentDisposition": 'attachment; filename="x"',
        "ContentLanguage": "de",
        "CacheControl": "max-age=3",
        "ExpiresString": "Wed, 02 Jan 2030 03:04:05 GMT",
        "StorageClass": "STANDARD_IA",
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "arn:aws:kms:us-east-1:000000000000:key/k",
        "Metadata": {"job": "linear", "under_score": "1"},
        "TagCount": 2,
        "AcceptRanges": "bytes",
    }
    head = s3.head_object(Bucket=bucket, Key="folder/ä b+c%2F~.csv")
    for answer in (got, head):
        assert expected == {name: answer.get(name) for name in expected}


def test_an_object_without_anything_said_has_s3s_defaults(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="plain")
    head = s3.head_object(Bucket=bucket, Key="plain")
    assert (
        head["ContentType"],
        head["ContentLength"],
        head["Metadata"],
    ) == ("binary/octet-stream", 0, {})
    assert "StorageClass" not in head
    assert head["ServerSideEncryption"] == "AES256"


@pytest.mark.parametrize(
    "key", ["a//b", "/leading", "trailing/", "..", "a/../b", "ключ", "🦊", "a?b#c"]
)
def test_odd_keys_are_kept_as_they_are(s3: Any, bucket: str, key: str) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"x"
    assert [key] == [o["Key"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]]


@pytest.mark.parametrize(
    ("header", "expected", "content_range"),
    [
        ("bytes=0-0", BODY[:1], "bytes 0-0/1024"),
        ("bytes=10-19", BODY[10:20], "bytes 10-19/1024"),
        ("bytes=1000-", BODY[1000:], "bytes 1000-1023/1024"),
        ("bytes=1000-99999", BODY[1000:], "bytes 1000-1023/1024"),
        ("bytes=-24", BODY[-24:], "bytes 1000-1023/1024"),
        ("bytes=-9999", BODY, "bytes 0-1023/1024"),
        ("bytes=0-1,5-6", BODY, None),
        ("bytes=9-3", BODY, None),
        (f"bytes={'9' * 5000}-", BODY, None),
        ("lines=1-2", BODY, None),
    ],
)
def test_a_range_gives_its_bytes(
    s3: Any, bucket: str, header: str, expected: bytes, content_range: str | None
) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=BODY)
    answer = s3.get_object(Bucket=bucket, Key="key", Range=header)
    assert expected == answer["Body"].read()
    assert content_range == answer.get("ContentRange")
    status = 206 if content_range else 200
    assert status == answer["ResponseMetadata"]["HTTPStatusCode"]
    assert len(expected) == s3.head_object(Bucket=bucket, Key="key", Range=header)["ContentLength"]


@pytest.mark.parametrize("header", ["bytes=1024-", "bytes=5000-6000", "bytes=-0"])
def test_a_range_behind_the_end_is_416(s3: Any, bucket: str, refused: Refused, header: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=BODY)
    error = refused(lambda: s3.get_object(Bucket=bucket, Key="key", Range=header))
    assert ("InvalidRange", 416, "1024", header) == (
        error["Code"],
        error["Status"],
        error["ActualObjectSize"],
        error["RangeRequested"],
    )


def test_conditions_of_readers_follow_the_rfc(s3: Any, bucket: str, refused: Refused) -> None:
    etag = s3.put_object(Bucket=bucket, Key="key", Body=b"x")["ETag"]
    now = datetime.now(UTC)
    before, after = now - timedelta(days=1), now + timedelta(days=1)
    for good in (
        {"IfMatch": etag},
        {"IfMatch": "*"},
        {"IfNoneMatch": '"other"'},
        {"IfModifiedSince": before},
        {"IfUnmodifiedSince": after},
        # A condition on the ETag outweighs the one on the date.
        {"IfMatch": etag, "IfUnmodifiedSince": before},
        {"IfNoneMatch": '"other"', "IfModifiedSince": after},
    ):
        assert s3.get_object(Bucket=bucket, Key="key", **good)["Body"].read() == b"x"
    for bad, status, condition in (
        ({"IfMatch": '"other"'}, 412, "If-Match"),
        ({"IfUnmodifiedSince": before}, 412, "If-Unmodified-Since"),
        ({"IfNoneMatch": etag}, 304, None),
        ({"IfNoneMatch": etag, "IfModifiedSince": before}, 304, None),
        ({"IfModifiedSince": after}, 304, None),
    ):
        error = refused(lambda bad=bad: s3.get_object(Bucket=bucket, Key="key", **bad))
        assert (status, condition) == (error["Status"], error.get("Condition")), bad


def test_conditional_writes_win_or_leave_the_object(s3: Any, bucket: str, refused: Refused) -> None:
    first = s3.put_object(Bucket=bucket, Key="key", Body=b"1", IfNoneMatch="*")["ETag"]
    error = refused(lambda: s3.put_object(Bucket=bucket, Key="key", Body=b"2", IfNoneMatch="*"))
    assert (
        error["Code"],
        error["Status"],
        error["Condition"],
    ) == ("PreconditionFailed", 412, "If-None-Match")
    error = refused(lambda: s3.put_object(Bucket=bucket, Key="key", Body=b"2", IfMatch='"no"'))
    assert (error["Code"], error["Condition"]) == ("PreconditionFailed", "If-Match")
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"1"
    s3.put_object(Bucket=bucket, Key="key", Body=b"2", IfMatch=first)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"2"
    error = refused(lambda: s3.put_object(Bucket=bucket, Key="new", Body=b"2", IfMatch=first))
    assert (error["Code"], error["Status"]) == ("NoSuchKey", 404)


def test_what_is_missing_is_named(s3: Any, bucket: str, refused: Refused) -> None:
    error = refused(lambda: s3.get_object(Bucket=bucket, Key="no/such"))
    assert (error["Code"], error["Key"], error["Status"]) == ("NoSuchKey", "no/such", 404)
    assert error["Message"] == "The specified key does not exist."
    error = refused(lambda: s3.get_object(Bucket="no-such-bucket", Key="x"))
    assert (error["Code"], error["BucketName"]) == ("NoSuchBucket", "no-such-bucket")
    error = refused(lambda: s3.put_object(Bucket="no-such-bucket", Key="x", Body=b"x"))
    assert (error["Code"], error["Status"]) == ("NoSuchBucket", 404)
    error = refused(lambda: s3.head_object(Bucket=bucket, Key="no/such"))
    assert (error["Code"], error["Status"]) == ("404", 404)


def test_deleting_is_204_whether_or_not_there_was_something(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    for _ in range(2):
        answer = s3.delete_object(Bucket=bucket, Key="key")
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_many_are_deleted_in_one_request(s3: Any, bucket: str) -> None:
    for key in ("a", "b&<c>", "d"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    answer = s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": "a"}, {"Key": "b&<c>"}, {"Key": "never"}]}
    )
    assert [entry["Key"] for entry in answer["Deleted"]] == ["a", "b&<c>", "never"]
    quiet = s3.delete_objects(
        Bucket=bucket,
        Delete={"Quiet": True, "Objects": [{"Key": "d"}, {"Key": "e", "VersionId": "v1"}]},
    )
    assert "Deleted" not in quiet
    assert [(e["Key"], e["Code"]) for e in quiet["Errors"]] == [("e", "NoSuchVersion")]
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize(
    "algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "MD5"]
)
def test_checksums_are_verified_kept_and_told(
    server: Any, s3: Any, bucket: str, refused: Refused, algorithm: str
) -> None:
    """The header is set by hand: botocore itself computes only some of them."""
    right = {
        "CRC32": "y/Q5Jg==",
        "CRC32C": "4waSgw==",
        "CRC64NVME": "rosUhgp5mIg=",
        "SHA1": base64.b64encode(hashlib.sha1(b"123456789").digest()).decode(),
        "SHA256": base64.b64encode(hashlib.sha256(b"123456789").digest()).decode(),
        "SHA512": base64.b64encode(hashlib.sha512(b"123456789").digest()).decode(),
        "MD5": base64.b64encode(hashlib.md5(b"123456789").digest()).decode(),
    }[algorithm]
    header = f"x-amz-checksum-{algorithm.lower()}"
    path = f"/{bucket}/sum"
    answer = server.request("PUT", path, b"123456789", {header: right})
    assert (200, right, "FULL_OBJECT") == (
        answer.status,
        answer.headers[header],
        answer.headers["x-amz-checksum-type"],
    )
    got = server.request("GET", path, headers={"x-amz-checksum-mode": "ENABLED"})
    assert right == got.headers[header]
    assert header not in server.request("GET", path).headers
    part = server.request(
        "GET", path, headers={"x-amz-checksum-mode": "ENABLED", "range": "bytes=0-3"}
    )
    assert header not in part.headers
    wrong = base64.b64encode(b"\0" * len(base64.b64decode(right))).decode()
    bad = server.request("PUT", path, b"123456789", {header: wrong})
    assert bad.status == 400
    assert b"<Code>BadDigest</Code>" in bad.body
    invalid = server.request("PUT", path, b"123456789", {header: "AAAA"})
    assert b"<Code>InvalidRequest</Code>" in invalid.body
    assert b"Value for " + header.encode() + b" header is invalid." in invalid.body


def test_an_upload_that_promises_nothing_gets_s3s_default_checksum(
    server: Any, bucket: str
) -> None:
    answer = server.request("PUT", f"/{bucket}/sum", b"123456789")
    assert answer.headers["x-amz-checksum-crc64nvme"] == "rosUhgp5mIg="


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_boto3_verifies_what_it_downloads(s3: Any, bucket: str, algorithm: str) -> None:
    put = s3.put_object(Bucket=bucket, Key="key", Body=BODY, ChecksumAlgorithm=algorithm)
    answer = s3.get_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert put[f"Checksum{algorithm}"] == answer[f"Checksum{algorithm}"]
    assert answer["Body"].read() == BODY


def test_content_md5_is_verified(s3: Any, bucket: str, refused: Refused) -> None:
    right = base64.b64encode(hashlib.md5(BODY).digest()).decode()
    s3.put_object(Bucket=bucket, Key="key", Body=BODY, ContentMD5=right)
    error = refused(lambda: s3.put_object(Bucket=bucket, Key="key", Body=b"x", ContentMD5=right))
    assert error["Code"] == "BadDigest"
    error = refused(lambda: s3.put_object(Bucket=bucket, Key="key", Body=b"x", ContentMD5="abc"))
    assert error["Code"] == "InvalidDigest"
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == BODY


def test_the_signed_digest_of_the_payload_is_verified(server: Any, bucket: str) -> None:
    digest = hashlib.sha256(b"other").hexdigest()
    answer = server.request("PUT", f"/{bucket}/key", b"body", {"x-amz-content-sha256": digest})
    assert answer.status == 400
    assert b"<Code>XAmzContentSHA256Mismatch</Code>" in answer.body
    assert digest.encode() in answer.body


def test_headers_of_an_answer_can_be_overridden(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", ContentType="text/csv")
    answer = s3.get_object(
        Bucket=bucket,
        Key="key",
        ResponseContentType="text/plain",
        ResponseContentDisposition="inline",
    )
    assert (answer["ContentType"], answer["ContentDisposition"]) == ("text/plain", "inline")


def test_tags_of_an_object_can_be_replaced(s3: Any, bucket: str, refused: Refused) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", Tagging="a=1")
    tags = [{"Key": "b", "Value": "2"}, {"Key": "c", "Value": ""}]
    s3.put_object_tagging(Bucket=bucket, Key="key", Tagging={"TagSet": tags})
    assert tags == s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"]
    s3.delete_object_tagging(Bucket=bucket, Key="key")
    assert s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"] == []
    many = [{"Key": str(n), "Value": ""} for n in range(11)]
    error = refused(
        lambda: s3.put_object_tagging(Bucket=bucket, Key="key", Tagging={"TagSet": many})
    )
    assert (
        error["Code"],
        error["Message"],
    ) == ("BadRequest", "Object tags cannot be greater than 10")


def test_attributes_of_an_object_are_told(s3: Any, bucket: str) -> None:
    put = s3.put_object(Bucket=bucket, Key="key", Body=BODY)
    answer = s3.get_object_attributes(
        Bucket=bucket,
        Key="key",
        ObjectAttributes=["ETag", "Checksum", "ObjectSize", "StorageClass", "ObjectParts"],
    )
    assert (put["ETag"].strip('"'), 1024, "STANDARD") == (
        answer["ETag"],
        answer["ObjectSize"],
        answer["StorageClass"],
    )
    assert put["ChecksumCRC32"] == answer["Checksum"]["ChecksumCRC32"]
    assert "ObjectParts" not in answer


def test_attributes_that_are_not_named_are_asked_for_rather_than_the_object_sent(
    server: Any, s3: Any, bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=BODY)
    answer = server.request("GET", f"/{bucket}/key?attributes")
    assert answer.status == 400
    assert b"<Code>InvalidArgument</Code>" in answer.body


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"Key": "k" * 1025}, "KeyTooLongError"),
        ({"Metadata": {"a": "x" * 2048}}, "MetadataTooLarge"),
        ({"StorageClass": "ATTIC"}, "InvalidStorageClass"),
        ({"ACL": "public-read"}, "AccessControlListNotSupported"),
        ({"ExpectedBucketOwner": "111122223333"}, "AccessDenied"),
        ({"Tagging": "a=1&a=2"}, "InvalidTag"),
        ({"Tagging": "aws:a=1"}, "InvalidTag"),
        ({"ServerSideEncryption": "rot13"}, "InvalidArgument"),
        ({"IfNoneMatch": '"etag"'}, "NotImplemented"),
    ],
)
def test_what_s3_refuses_is_refused(
    s3: Any, bucket: str, refused: Refused, arguments: dict[str, Any], code: str
) -> None:
    error = refused(
        lambda: s3.put_object(**{"Bucket": bucket, "Key": "key", "Body": b"x", **arguments})
    )
    assert code == error["Code"]
    assert error["Status"] < 500
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_the_expected_owner_is_this_account(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", ExpectedBucketOwner="000000000000")
    assert s3.head_bucket(Bucket=bucket, ExpectedBucketOwner="000000000000")


def test_an_upload_too_large_is_refused_before_it_is_read(server: Any, bucket: str) -> None:
    answer = server.request(
        "PUT",
        f"/{bucket}/key",
        b"0;\r\n\r\n",
        {
            "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "x-amz-decoded-content-length": str(6 * 1024**3),
        },
    )
    assert b"<Code>EntityTooLarge</Code>" in answer.body


def test_archived_objects_must_be_restored_before_they_are_read(
    s3: Any, bucket: str, refused: Refused
) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", StorageClass="GLACIER")
    error = refused(lambda: s3.get_object(Bucket=bucket, Key="key"))
    assert (
        error["Code"],
        error["Status"],
        error["StorageClass"],
    ) == ("InvalidObjectState", 403, "GLACIER")
    assert s3.head_object(Bucket=bucket, Key="key")["StorageClass"] == "GLACIER"


def test_the_owner_has_full_control(s3: Any, bucket: str, refused: Refused) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    answer = s3.get_object_acl(Bucket=bucket, Key="key")
    assert [grant["Permission"] for grant in answer["Grants"]] == ["FULL_CONTROL"]
    assert answer["Owner"]["ID"] == answer["Grants"][0]["Grantee"]["ID"]
    error = refused(lambda: s3.put_object_acl(Bucket=bucket, Key="key", ACL="public-read"))
    assert error["Code"] == "AccessControlListNotSupported"

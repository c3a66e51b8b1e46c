"""CopyObject and UploadPartCopy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

Refused = Callable[..., dict[str, Any]]
MEBIBYTE = 1024**2


@pytest.fixture
def source(s3: Any, bucket: str) -> dict[str, Any]:
    """An object with metadata and tags; the arguments that copy it."""
    s3.put_object(
        Bucket=bucket,
        Key="from/ä +.bin",
        Body=b"content",
        ContentType="text/x",
        Metadata={"a": "1"},
        Tagging="t=1",
        StorageClass="STANDARD_IA",
        CacheControl="no-cache",
    )
    return {"Bucket": bucket, "CopySource": {"Bucket": bucket, "Key": "from/ä +.bin"}}


def test_a_copy_has_the_bytes_the_metadata_and_the_tags(
    s3: Any, bucket: str, source: dict[str, Any]
) -> None:
    original = s3.head_object(Bucket=bucket, Key="from/ä +.bin", ChecksumMode="ENABLED")
    result = s3.copy_object(Key="to", **source)["CopyObjectResult"]
    copy = s3.get_object(Bucket=bucket, Key="to", ChecksumMode="ENABLED")
    assert copy["Body"].read() == b"content"
    assert original["ETag"] == result["ETag"] == copy["ETag"]
    assert original["ChecksumCRC32"] == result["ChecksumCRC32"]
    assert (
        copy["Metadata"],
        copy["ContentType"],
        copy["CacheControl"],
        copy["TagCount"],
    ) == ({"a": "1"}, "text/x", "no-cache", 1)
    # The storage class is the request's, not the source's.
    assert "StorageClass" not in copy


def test_metadata_and_tags_can_be_replaced(s3: Any, bucket: str, source: dict[str, Any]) -> None:
    s3.copy_object(
        Key="to",
        MetadataDirective="REPLACE",
        Metadata={"b": "2"},
        TaggingDirective="REPLACE",
        Tagging="u=2",
        ChecksumAlgorithm="SHA256",
        **source,
    )
    copy = s3.head_object(Bucket=bucket, Key="to", ChecksumMode="ENABLED")
    assert (copy["Metadata"], copy["ContentType"]) == ({"b": "2"}, "binary/octet-stream")
    assert s3.get_object_tagging(Bucket=bucket, Key="to")["TagSet"] == [{"Key": "u", "Value": "2"}]
    assert copy["ChecksumSHA256"] == "7XACtDnprIRfIjV9giusFERzD722AW0+yUMil7nsn3M="


def test_a_copy_onto_itself_must_change_something(
    s3: Any, bucket: str, source: dict[str, Any], refused: Refused
) -> None:
    error = refused(lambda: s3.copy_object(Key="from/ä +.bin", **source))
    assert error["Code"] == "InvalidRequest"
    assert error["Message"].startswith("This copy request is illegal")
    s3.copy_object(Key="from/ä +.bin", StorageClass="STANDARD", **source)
    s3.copy_object(Key="from/ä +.bin", MetadataDirective="REPLACE", **source)
    got = s3.get_object(Bucket=bucket, Key="from/ä +.bin")
    assert (got["Body"].read(), got["Metadata"]) == (b"content", {})


def test_conditions_on_the_source_are_412(
    s3: Any, bucket: str, source: dict[str, Any], refused: Refused
) -> None:
    etag = s3.head_object(Bucket=bucket, Key="from/ä +.bin")["ETag"]
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    s3.copy_object(Key="to", CopySourceIfMatch=etag, **source)
    for condition, name in (
        ({"CopySourceIfMatch": '"x"'}, "x-amz-copy-source-If-Match"),
        ({"CopySourceIfNoneMatch": etag}, "x-amz-copy-source-If-None-Match"),
        ({"CopySourceIfModifiedSince": tomorrow}, "x-amz-copy-source-If-Modified-Since"),
    ):
        error = refused(lambda c=condition: s3.copy_object(Key="to", **c, **source))
        assert ("PreconditionFailed", 412, name) == (
            error["Code"],
            error["Status"],
            error["Condition"],
        )
    error = refused(lambda: s3.copy_object(Key="to", IfNoneMatch="*", **source))
    assert error["Status"] == 412


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{bucket}/no/such", "NoSuchKey"),
        ("no-such-bucket/key", "NoSuchBucket"),
        ("{bucket}", "InvalidArgument"),
        ("{bucket}/from?versionId=v1", "InvalidArgument"),
    ],
)
def test_a_source_that_is_not_there_is_named(
    s3: Any, bucket: str, refused: Refused, text: str, code: str
) -> None:
    error = refused(
        lambda: s3.copy_object(Bucket=bucket, Key="to", CopySource=text.format(bucket=bucket))
    )
    assert code == error["Code"]


def test_parts_are_copied_from_ranges(s3: Any, bucket: str, refused: Refused) -> None:
    body = bytes(range(256)) * (6 * MEBIBYTE // 256)
    s3.put_object(Bucket=bucket, Key="from", Body=body)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="to", ChecksumAlgorithm="CRC32")[
        "UploadId"
    ]
    common = {"Bucket": bucket, "Key": "to", "UploadId": upload, "CopySource": f"{bucket}/from"}
    bounds = ["bytes=0-5242879", "bytes=5242880-6291455"]
    parts = []
    for number, text in enumerate(bounds, 1):
        copied = s3.upload_part_copy(PartNumber=number, CopySourceRange=text, **common)
        result = copied["CopyPartResult"]
        parts.append(
            {
                "PartNumber": number,
                "ETag": result["ETag"],
                "ChecksumCRC32": result["ChecksumCRC32"],
            }
        )
    for text in ("bytes=0-9999999", "bytes=0-", "bytes=5-1"):
        error = refused(
            lambda t=text: s3.upload_part_copy(PartNumber=3, CopySourceRange=t, **common)
        )
        assert error["Code"] == "InvalidArgument"
    s3.complete_multipart_upload(
        Bucket=bucket, Key="to", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    assert body == s3.get_object(Bucket=bucket, Key="to")["Body"].read()


def test_a_copy_of_a_joined_object_is_one_piece(s3: Any, bucket: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="from")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="from", UploadId=upload, PartNumber=1, Body=b"content")
    s3.complete_multipart_upload(
        Bucket=bucket,
        Key="from",
        UploadId=upload,
        MultipartUpload={
            "Parts": [
                {
                    "PartNumber": 1,
                    "ETag": part["ETag"],
                    "ChecksumCRC32": part["ChecksumCRC32"],
                }
            ]
        },
    )
    s3.copy_object(Bucket=bucket, Key="to", CopySource=f"{bucket}/from")
    copy = s3.get_object(Bucket=bucket, Key="to", ChecksumMode="ENABLED")
    assert copy["ETag"] == '"9a0364b9e99bb480dd25e1f0284c8555"'
    assert (copy["ChecksumType"], copy["Body"].read()) == ("FULL_OBJECT", b"content")

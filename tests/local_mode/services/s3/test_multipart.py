"""Multipart uploads from creation to completion or abort."""

from __future__ import annotations

import base64
import hashlib
import io
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig

Refused = Callable[..., dict[str, Any]]
MEBIBYTE = 1024**2
FIRST, SECOND = b"1" * (5 * MEBIBYTE), b"2" * 1000


class Upload:
    """One upload: puts parts and remembers what completion must name."""

    def __init__(self, s3: Any, bucket: str, **arguments: Any) -> None:
        self.s3 = s3
        self.common = {"Bucket": bucket, "Key": "key"}
        created = s3.create_multipart_upload(**self.common, **arguments)
        self.created = created
        self.common["UploadId"] = created["UploadId"]
        self.parts: list[dict[str, Any]] = []

    def put(self, number: int, body: bytes, **arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.s3.upload_part(
            **self.common, PartNumber=number, Body=body, **arguments
        )
        checksums = {k: v for k, v in answer.items() if k.startswith("Checksum")}
        self.parts.append({"PartNumber": number, "ETag": answer["ETag"], **checksums})
        return answer

    def complete(self, parts: list[dict[str, Any]] | None = None, **arguments: Any) -> Any:
        return self.s3.complete_multipart_upload(
            **self.common,
            MultipartUpload={"Parts": self.parts if parts is None else parts},
            **arguments,
        )


def test_parts_become_one_object(server: Any, s3: Any, bucket: str) -> None:
    before = server.object_files()
    upload = Upload(s3, bucket, ContentType="text/x", Metadata={"a": "1"}, Tagging="t=1")
    upload.put(2, b"replaced")
    upload.put(2, SECOND)
    upload.put(1, FIRST)
    upload.put(7, b"never named")
    answer = upload.complete([upload.parts[2], upload.parts[1]])
    digests = hashlib.md5(FIRST).digest() + hashlib.md5(SECOND).digest()
    etag = f'"{hashlib.md5(digests).hexdigest()}-2"'
    assert (etag, bucket, "key", f"{server.url}/{bucket}/key") == (
        answer["ETag"],
        answer["Bucket"],
        answer["Key"],
        answer["Location"],
    )
    got = s3.get_object(Bucket=bucket, Key="key")
    assert got["Body"].read() == FIRST + SECOND
    assert (etag, "text/x", {"a": "1"}, 1) == (
        got["ETag"],
        got["ContentType"],
        got["Metadata"],
        got["TagCount"],
    )
    assert before + 1 == server.object_files()


@pytest.mark.parametrize("number", [1, 2])
def test_a_part_of_an_object_can_be_read(
    s3: Any, bucket: str, refused: Refused, number: int
) -> None:
    upload = Upload(s3, bucket, ChecksumAlgorithm="CRC32")
    upload.put(1, FIRST)
    upload.put(2, SECOND)
    upload.complete()
    answer = s3.get_object(Bucket=bucket, Key="key", PartNumber=number, ChecksumMode="ENABLED")
    assert (FIRST, SECOND)[number - 1] == answer["Body"].read()
    assert (answer["PartsCount"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (2, 206)
    assert upload.parts[number - 1]["ChecksumCRC32"] == answer["ChecksumCRC32"]
    error = refused(lambda: s3.head_object(Bucket=bucket, Key="key", PartNumber=3))
    assert error["Status"] == 416
    attributes = s3.get_object_attributes(
        Bucket=bucket, Key="key", ObjectAttributes=["ObjectParts"], MaxParts=1
    )["ObjectParts"]
    assert (
        attributes["TotalPartsCount"],
        attributes["IsTruncated"],
        attributes["Parts"][0]["Size"],
    ) == (2, True, 5 * MEBIBYTE)


def test_the_checksum_of_checksums_is_composite(s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket, ChecksumAlgorithm="SHA256")
    assert upload.created["ChecksumType"] == "COMPOSITE"
    upload.put(1, FIRST, ChecksumAlgorithm="SHA256")
    upload.put(2, SECOND, ChecksumAlgorithm="SHA256")
    answer = upload.complete()
    digest = hashlib.sha256(hashlib.sha256(FIRST).digest() + hashlib.sha256(SECOND).digest())
    expected = base64.b64encode(digest.digest()).decode() + "-2"
    assert (expected, "COMPOSITE") == (answer["ChecksumSHA256"], answer["ChecksumType"])


def test_the_checksum_of_the_whole_comes_from_those_of_the_parts(
    s3: Any, bucket: str, refused: Refused
) -> None:
    upload = Upload(s3, bucket, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    upload.put(1, FIRST)
    upload.put(2, SECOND)
    error = refused(lambda: upload.complete(ChecksumCRC32="AAAAAA==", ChecksumType="FULL_OBJECT"))
    assert error["Code"] == "BadDigest"
    expected = base64.b64encode(zlib.crc32(FIRST + SECOND).to_bytes(4, "big")).decode()
    answer = upload.complete(ChecksumCRC32=expected, ChecksumType="FULL_OBJECT")
    assert (expected, "FULL_OBJECT") == (answer["ChecksumCRC32"], answer["ChecksumType"])
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == FIRST + SECOND


def test_an_upload_without_a_word_about_checksums_gets_the_default_one(
    server: Any, s3: Any, bucket: str
) -> None:
    client = server.client(request_checksum_calculation="when_required")
    upload = Upload(client, bucket)
    assert "ChecksumAlgorithm" not in upload.created
    upload.put(1, FIRST)
    upload.put(2, SECOND)
    plain = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in upload.parts]
    answer = upload.complete(plain)
    s3.put_object(Bucket=bucket, Key="whole", Body=FIRST + SECOND, ChecksumAlgorithm="SHA1")
    s3.copy_object(
        Bucket=bucket, Key="copy", CopySource=f"{bucket}/whole", ChecksumAlgorithm="CRC64NVME"
    )
    whole = s3.head_object(Bucket=bucket, Key="copy", ChecksumMode="ENABLED")
    assert whole["ChecksumCRC64NVME"] == answer["ChecksumCRC64NVME"]


def test_completion_is_refused_for_what_does_not_fit(
    s3: Any, bucket: str, refused: Refused
) -> None:
    upload = Upload(s3, bucket, ChecksumAlgorithm="CRC32")
    upload.put(1, SECOND)
    upload.put(2, SECOND)
    one, two = upload.parts
    error = refused(lambda: upload.complete([two, one]))
    assert error["Code"] == "InvalidPartOrder"
    error = refused(lambda: upload.complete([one, {**two, "PartNumber": 3}]))
    assert (error["Code"], error["PartNumber"]) == ("InvalidPart", "3")
    error = refused(lambda: upload.complete([{**one, "ETag": '"0"'}]))
    assert error["Code"] == "InvalidPart"
    error = refused(lambda: upload.complete())
    assert ("EntityTooSmall", "1", "1000", str(5 * MEBIBYTE)) == (
        error["Code"],
        error["PartNumber"],
        error["ProposedSize"],
        error["MinSizeAllowed"],
    )
    error = refused(lambda: upload.complete([]))
    assert error["Code"] == "MalformedXML"
    error = refused(lambda: upload.complete([one], MpuObjectSize=1))
    assert error["Code"] == "InvalidRequest"
    without = {"PartNumber": 1, "ETag": one["ETag"]}
    error = refused(lambda: upload.complete([without]))
    assert "It was missing for part 1 in the request." in error["Message"]
    # None of it has ended the upload.
    assert upload.complete([one], MpuObjectSize=1000)["ETag"].endswith('-1"')


def test_a_repeated_completion_gets_the_same_answer(s3: Any, bucket: str, refused: Refused) -> None:
    upload = Upload(s3, bucket)
    upload.put(1, FIRST)
    first = upload.complete()
    assert first["ETag"] == upload.complete()["ETag"]
    s3.put_object(Bucket=bucket, Key="key", Body=b"new")
    assert refused(upload.complete)["Code"] == "NoSuchUpload"


def test_completion_can_be_conditional(s3: Any, bucket: str, refused: Refused) -> None:
    upload = Upload(s3, bucket)
    upload.put(1, FIRST)
    s3.put_object(Bucket=bucket, Key="key", Body=b"first come")
    error = refused(lambda: upload.complete(IfNoneMatch="*"))
    assert error["Status"] == 412
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"first come"
    s3.delete_object(Bucket=bucket, Key="key")
    upload.complete(IfNoneMatch="*")


def test_an_aborted_upload_is_gone(server: Any, s3: Any, bucket: str, refused: Refused) -> None:
    before = server.object_files()
    upload = Upload(s3, bucket)
    upload.put(1, SECOND)
    s3.abort_multipart_upload(**upload.common)
    assert before == server.object_files()
    for call in (
        lambda: s3.abort_multipart_upload(**upload.common),
        lambda: upload.put(2, b"x"),
        lambda: s3.list_parts(**upload.common),
        upload.complete,
    ):
        error = refused(call)
        assert (error["Code"], error["Status"]) == ("NoSuchUpload", 404)


def test_parts_are_listed_in_pages(s3: Any, bucket: str) -> None:
    upload = Upload(s3, bucket, ChecksumAlgorithm="CRC32")
    for number in (5, 1, 3):
        upload.put(number, bytes(number))
    pages = s3.get_paginator("list_parts").paginate(
        **upload.common, PaginationConfig={"PageSize": 2}
    )
    found = [part for page in pages for part in page["Parts"]]
    assert [(part["PartNumber"], part["Size"]) for part in found] == [(1, 1), (3, 3), (5, 5)]
    assert all("ChecksumCRC32" in part for part in found)


def test_uploads_are_listed_in_pages_and_rolled_up(s3: Any, bucket: str) -> None:
    created = []
    for key in ("b", "a/1", "a/2", "b", "c"):
        answer = s3.create_multipart_upload(Bucket=bucket, Key=key)
        created.append((key, answer["UploadId"]))
    expected = sorted(created, key=lambda entry: entry[0])
    for size in (1, 2, 100):
        pages = s3.get_paginator("list_multipart_uploads").paginate(
            Bucket=bucket, PaginationConfig={"PageSize": size}
        )
        found = [(u["Key"], u["UploadId"]) for page in pages for u in page["Uploads"]]
        assert expected == found, size
    answer = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [upload["Key"] for upload in answer["Uploads"]] == ["b", "b", "c"]
    assert answer["CommonPrefixes"] == [{"Prefix": "a/"}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ChecksumAlgorithm": "SHA1", "ChecksumType": "FULL_OBJECT"}, "cannot be used with"),
        ({"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "COMPOSITE"}, "cannot be used with"),
        ({"ChecksumAlgorithm": "XXHASH3"}, "unsupported"),
    ],
)
def test_checksums_that_cannot_be_are_refused(
    s3: Any, bucket: str, refused: Refused, arguments: dict[str, str], message: str
) -> None:
    error = refused(lambda: s3.create_multipart_upload(Bucket=bucket, Key="key", **arguments))
    assert error["Code"] == "InvalidRequest"
    assert message in error["Message"]


def test_part_numbers_have_bounds(s3: Any, bucket: str, refused: Refused) -> None:
    upload = Upload(s3, bucket)
    for number in (0, 10_001):
        error = refused(lambda n=number: upload.put(n, b"x"))
        assert ("InvalidArgument", str(number)) == (error["Code"], error["ArgumentValue"])


def test_boto3s_transfers_go_both_ways(s3: Any, bucket: str) -> None:
    body = bytes(range(256)) * (20 * MEBIBYTE // 256)
    config = TransferConfig(multipart_threshold=5 * MEBIBYTE, multipart_chunksize=5 * MEBIBYTE)
    s3.upload_fileobj(io.BytesIO(body), bucket, "key", Config=config)
    assert s3.head_object(Bucket=bucket, Key="key")["ETag"].endswith('-4"')
    target = io.BytesIO()
    s3.download_fileobj(bucket, "key", target, Config=config)
    assert body == target.getvalue()
    s3.copy({"Bucket": bucket, "Key": "key"}, bucket, "copy", Config=config)
    assert body == s3.get_object(Bucket=bucket, Key="copy")["Body"].read()


def test_a_part_must_have_the_uploads_kind_of_checksum(
    server: Any, s3: Any, bucket: str, refused: Refused
) -> None:
    upload = Upload(s3, bucket, ChecksumAlgorithm="SHA256")
    error = refused(lambda: upload.put(1, b"x", ChecksumAlgorithm="CRC32"))
    assert error["Message"].endswith("expected checksum Type: sha256, actual checksum Type: crc32")
    trailing = server.request(
        "PUT",
        f"/{bucket}/key?partNumber=1&uploadId={upload.common['UploadId']}",
        b"1\r\nx\r\n0\r\nx-amz-checksum-crc32:jNwSgw==\r\n\r\n",
        {
            "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "x-amz-decoded-content-length": "1",
            "x-amz-trailer": "x-amz-checksum-crc32",
        },
    )
    assert (trailing.status, b"actual checksum Type: crc32" in trailing.body) == (400, True)


def test_a_list_of_uploads_tells_where_it_ends_also_on_its_last_page(
    s3: Any, bucket: str, refused: Refused
) -> None:
    empty = s3.list_multipart_uploads(Bucket=bucket)
    assert (empty["NextKeyMarker"], empty["NextUploadIdMarker"], "Prefix" in empty) == (
        "",
        "",
        False,
    )
    ids = [s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"] for key in ("a", "b/c")]
    whole = s3.list_multipart_uploads(Bucket=bucket)
    assert (whole["NextKeyMarker"], whole["NextUploadIdMarker"]) == ("b/c", ids[1])
    rolled = s3.list_multipart_uploads(Bucket=bucket, Prefix="b", Delimiter="/")
    assert (rolled["NextKeyMarker"], rolled["NextUploadIdMarker"]) == ("", "")
    no_key = s3.list_multipart_uploads(Bucket=bucket, UploadIdMarker=ids[0])
    assert (no_key["UploadIdMarker"], len(no_key["Uploads"])) == ("", 2)
    error = refused(
        lambda: s3.list_multipart_uploads(Bucket=bucket, KeyMarker="a", UploadIdMarker=ids[1])
    )
    assert (error["Code"], error["Message"]) == ("InvalidArgument", "Invalid uploadId marker")

"""Versioned buckets: what was replaced or deleted is there by its version."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.local_mode.services.s3.conftest import S3Server

Refused = Callable[..., dict[str, Any]]

PART = 5 * 1024**2


@pytest.fixture
def versioned(s3: Any, bucket: str) -> str:
    """A bucket that keeps versions."""
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


def put(s3: Any, bucket: str, body: bytes, key: str = "k") -> str:
    version: str = s3.put_object(Bucket=bucket, Key=key, Body=body).get("VersionId", "null")
    return version


def read(s3: Any, bucket: str, key: str = "k", **which: str) -> bytes:
    body: bytes = s3.get_object(Bucket=bucket, Key=key, **which)["Body"].read()
    return body


def listed(s3: Any, bucket: str, **how: Any) -> list[tuple[str, str, bool, bool]]:
    """Key, version, whether it is the newest and a delete marker; of each key the newest first."""
    page = s3.list_object_versions(Bucket=bucket, **how)
    entries = [(v, False) for v in page.get("Versions", [])]
    entries += [(m, True) for m in page.get("DeleteMarkers", [])]
    entries.sort(key=lambda e: (e[0]["Key"], not e[0]["IsLatest"]))
    return [(e["Key"], e["VersionId"], e["IsLatest"], marker) for e, marker in entries]


def test_a_replaced_object_is_read_by_its_version(s3: Any, versioned: str) -> None:
    first, second = put(s3, versioned, b"one"), put(s3, versioned, b"two")
    assert first != second
    assert read(s3, versioned) == b"two"
    assert read(s3, versioned, VersionId=first) == b"one"
    assert read(s3, versioned, VersionId=first, Range="bytes=1-") == b"ne"
    assert first == s3.head_object(Bucket=versioned, Key="k", VersionId=first)["VersionId"]
    assert second == s3.head_object(Bucket=versioned, Key="k")["VersionId"]
    attributes = s3.get_object_attributes(
        Bucket=versioned, Key="k", VersionId=first, ObjectAttributes=["ObjectSize"]
    )
    assert (3, first) == (attributes["ObjectSize"], attributes["VersionId"])
    assert [("k", second, True, False), ("k", first, False, False)] == listed(s3, versioned)


def test_a_deletion_leaves_a_marker_and_deleting_that_brings_the_object_back(
    s3: Any, versioned: str, refused: Refused
) -> None:
    version = put(s3, versioned, b"body")
    deleted = s3.delete_object(Bucket=versioned, Key="k")
    marker = deleted["VersionId"]
    assert deleted["DeleteMarker"] is True
    assert refused(lambda: read(s3, versioned))["Code"] == "NoSuchKey"
    assert refused(lambda: s3.head_object(Bucket=versioned, Key="k"))["Status"] == 404
    assert s3.list_objects_v2(Bucket=versioned)["KeyCount"] == 0
    assert read(s3, versioned, VersionId=version) == b"body"
    error = refused(lambda: read(s3, versioned, VersionId=marker))
    assert (error["Code"], error["Status"]) == ("MethodNotAllowed", 405)
    assert (error["Method"], error["ResourceType"]) == ("GET", "DeleteMarker")
    assert [("k", marker, True, True), ("k", version, False, False)] == listed(s3, versioned)
    gone = s3.delete_object(Bucket=versioned, Key="k", VersionId=marker)
    assert (True, marker) == (gone["DeleteMarker"], gone["VersionId"])
    assert read(s3, versioned) == b"body"


def test_the_answer_about_a_deleted_object_tells_of_the_marker(
    server: S3Server, s3: Any, versioned: str
) -> None:
    marker = s3.delete_object(Bucket=versioned, Key="never-there")["VersionId"]
    answer = server.request("GET", f"/{versioned}/never-there")
    assert answer.status == 404
    told = answer.headers["x-amz-delete-marker"], answer.headers["x-amz-version-id"]
    assert ("true", marker) == told
    answer = server.request("HEAD", f"/{versioned}/never-there?versionId={marker}")
    assert (answer.status, answer.headers["allow"]) == (405, "DELETE")


def test_deleting_the_newest_version_makes_the_one_before_it_the_object(
    s3: Any, versioned: str, refused: Refused
) -> None:
    versions = [put(s3, versioned, body) for body in (b"1", b"2", b"3")]
    s3.delete_object(Bucket=versioned, Key="k", VersionId=versions[1])
    assert read(s3, versioned) == b"3"
    s3.delete_object(Bucket=versioned, Key="k", VersionId=versions[2])
    assert read(s3, versioned) == b"1"
    error = refused(lambda: read(s3, versioned, VersionId=versions[2]))
    assert (error["Code"], error["Status"]) == ("NoSuchVersion", 404)
    s3.delete_object(Bucket=versioned, Key="k", VersionId=versions[0])
    assert listed(s3, versioned) == []


def test_what_never_was_a_version_is_an_invalid_argument(
    s3: Any, versioned: str, refused: Refused
) -> None:
    put(s3, versioned, b"body")
    for version in ("v1", "HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD"):
        error = refused(lambda version=version: read(s3, versioned, VersionId=version))
        assert (error["Code"], error["ArgumentName"]) == ("InvalidArgument", "versionId")


def test_an_unversioned_bucket_tells_no_versions_and_has_the_version_null(
    s3: Any, bucket: str
) -> None:
    assert "VersionId" not in s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    assert "VersionId" not in s3.get_object(Bucket=bucket, Key="k")
    assert read(s3, bucket, VersionId="null") == b"body"
    s3.put_object(Bucket=bucket, Key="k", Body=b"other")
    assert listed(s3, bucket) == [("k", "null", True, False)]


def test_what_was_there_before_versioning_stays_as_the_version_null(s3: Any, bucket: str) -> None:
    put(s3, bucket, b"old")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert s3.head_object(Bucket=bucket, Key="k")["VersionId"] == "null"
    version = put(s3, bucket, b"new")
    assert read(s3, bucket, VersionId="null") == b"old"
    assert [("k", version, True, False), ("k", "null", False, False)] == listed(s3, bucket)


def test_a_suspended_bucket_replaces_the_version_null_and_keeps_the_others(
    s3: Any, versioned: str
) -> None:
    kept = put(s3, versioned, b"kept")
    s3.put_bucket_versioning(Bucket=versioned, VersioningConfiguration={"Status": "Suspended"})
    assert [put(s3, versioned, body) for body in (b"1", b"2")] == ["null", "null"]
    assert [("k", "null", True, False), ("k", kept, False, False)] == listed(s3, versioned)
    assert (read(s3, versioned), read(s3, versioned, VersionId=kept)) == (b"2", b"kept")
    deleted = s3.delete_object(Bucket=versioned, Key="k")
    assert (deleted["DeleteMarker"], deleted["VersionId"]) == (True, "null")
    assert [("k", "null", True, True), ("k", kept, False, False)] == listed(s3, versioned)
    put(s3, versioned, b"3")
    assert [("k", "null", True, False), ("k", kept, False, False)] == listed(s3, versioned)
    assert s3.get_bucket_versioning(Bucket=versioned)["Status"] == "Suspended"


def test_many_are_deleted_by_version_or_get_markers(s3: Any, versioned: str) -> None:
    version = put(s3, versioned, b"body", "a")
    (entry,) = s3.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "a"}]})["Deleted"]
    marker = entry["DeleteMarkerVersionId"]
    assert {"Key": "a", "DeleteMarker": True, "DeleteMarkerVersionId": marker} == entry
    answer = s3.delete_objects(
        Bucket=versioned,
        Delete={
            "Objects": [
                {"Key": "a", "VersionId": marker},
                {"Key": "a", "VersionId": version},
                {"Key": "a", "VersionId": "never-was-one"},
            ]
        },
    )
    assert answer["Deleted"] == [
        {
            "Key": "a",
            "VersionId": marker,
            "DeleteMarker": True,
            "DeleteMarkerVersionId": marker,
        },
        {"Key": "a", "VersionId": version},
    ]
    assert [e["Code"] for e in answer["Errors"]] == ["NoSuchVersion"]
    assert listed(s3, versioned) == []


@pytest.mark.parametrize("delimiter", [None, "/"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_pages_of_versions_join_to_the_whole(
    s3: Any, versioned: str, size: int, delimiter: str | None
) -> None:
    for key in ("a", "b/x", "b/y", "c"):
        for body in (b"1", b"2", b"3"):
            put(s3, versioned, body, key)
        if key != "c":
            s3.delete_object(Bucket=versioned, Key=key)
    how = {"Delimiter": delimiter} if delimiter else {}
    pages = list(
        s3.get_paginator("list_object_versions").paginate(
            Bucket=versioned, PaginationConfig={"PageSize": size}, **how
        )
    )
    found = [
        (v["Key"], v["VersionId"], v["IsLatest"])
        for page in pages
        for v in page.get("Versions", []) + page.get("DeleteMarkers", [])
    ]
    whole = [
        (key, version, latest)
        for key, version, latest, _ in listed(s3, versioned)
        if delimiter is None or "/" not in key
    ]
    assert sorted(whole) == sorted(found)
    assert len(found) == (7 if delimiter else 15)
    prefixes = [p["Prefix"] for page in pages for p in page.get("CommonPrefixes", [])]
    assert prefixes == (["b/"] if delimiter else [])


def test_a_listing_goes_on_behind_a_version_that_is_gone(s3: Any, versioned: str) -> None:
    for body in (b"1", b"2", b"3"):
        put(s3, versioned, body)
    page = s3.list_object_versions(Bucket=versioned, MaxKeys=1)
    s3.delete_object(Bucket=versioned, Key="k", VersionId=page["NextVersionIdMarker"])
    rest = s3.list_object_versions(
        Bucket=versioned,
        KeyMarker=page["NextKeyMarker"],
        VersionIdMarker=page["NextVersionIdMarker"],
    )
    assert len(rest["Versions"]) == 2


def test_a_version_marker_needs_its_key(s3: Any, versioned: str, refused: Refused) -> None:
    version = put(s3, versioned, b"body")
    error = refused(lambda: s3.list_object_versions(Bucket=versioned, VersionIdMarker=version))
    assert (error["Code"], error["ArgumentName"]) == ("InvalidArgument", "version-id-marker")


def test_an_older_version_is_copied_and_restored(s3: Any, versioned: str) -> None:
    first, second = put(s3, versioned, b"one"), put(s3, versioned, b"two")
    source = {"Bucket": versioned, "Key": "k", "VersionId": first}
    copied = s3.copy_object(Bucket=versioned, Key="k", CopySource=source)
    assert first == copied["CopySourceVersionId"]
    assert copied["VersionId"] not in (first, second)
    assert read(s3, versioned) == b"one"
    upload = s3.create_multipart_upload(Bucket=versioned, Key="joined")["UploadId"]
    part = s3.upload_part_copy(
        Bucket=versioned,
        Key="joined",
        UploadId=upload,
        PartNumber=1,
        CopySource={**source, "VersionId": second},
    )
    assert second == part["CopySourceVersionId"]
    done = s3.complete_multipart_upload(
        Bucket=versioned,
        Key="joined",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]},
    )
    assert read(s3, versioned, "joined", VersionId=done["VersionId"]) == b"two"


def test_a_marker_is_no_source_of_a_copy(s3: Any, versioned: str, refused: Refused) -> None:
    put(s3, versioned, b"body")
    marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    source = {"Bucket": versioned, "Key": "k", "VersionId": marker}
    error = refused(lambda: s3.copy_object(Bucket=versioned, Key="to", CopySource=source))
    assert (error["Code"], error["Status"]) == ("InvalidRequest", 400)


def test_each_version_has_tags_and_parts_of_its_own(s3: Any, versioned: str) -> None:
    upload = s3.create_multipart_upload(
        Bucket=versioned, Key="k", ChecksumAlgorithm="SHA256", Tagging="a=1"
    )["UploadId"]
    parts = []
    for number, body in ((1, b"x" * PART), (2, b"y")):
        part = s3.upload_part(
            Bucket=versioned,
            Key="k",
            UploadId=upload,
            PartNumber=number,
            Body=body,
            ChecksumAlgorithm="SHA256",
        )
        parts.append(
            {
                "PartNumber": number,
                "ETag": part["ETag"],
                "ChecksumSHA256": part["ChecksumSHA256"],
            }
        )
    first = s3.complete_multipart_upload(
        Bucket=versioned, Key="k", UploadId=upload, MultipartUpload={"Parts": parts}
    )["VersionId"]
    put(s3, versioned, b"new")
    s3.put_object_tagging(
        Bucket=versioned, Key="k", Tagging={"TagSet": [{"Key": "b", "Value": ""}]}
    )
    older = {"Bucket": versioned, "Key": "k", "VersionId": first}
    assert s3.get_object_tagging(**older)["TagSet"] == [{"Key": "a", "Value": "1"}]
    assert first == s3.put_object_tagging(**older, Tagging={"TagSet": []})["VersionId"]
    assert s3.get_object_tagging(**older)["TagSet"] == []
    assert len(s3.get_object_tagging(Bucket=versioned, Key="k")["TagSet"]) == 1
    assert s3.get_object(**older, PartNumber=2)["Body"].read() == b"y"
    attributes = s3.get_object_attributes(**older, ObjectAttributes=["ObjectParts"])
    assert [part["Size"] for part in attributes["ObjectParts"]["Parts"]] == [PART, 1]


def test_a_bucket_with_versions_is_not_empty_and_its_files_go_with_them(
    own_server: S3Server, refused: Refused
) -> None:
    s3 = own_server.client()
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    resource = boto3.resource(
        "s3",
        endpoint_url=own_server.url,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )
    bucket = resource.create_bucket(Bucket=name)
    bucket.Versioning().enable()
    for body in (b"1", b"2"):
        bucket.put_object(Key="k", Body=body)
    bucket.Object("k").delete()
    error = refused(bucket.delete)
    assert (error["Code"], error["Status"]) == ("BucketNotEmpty", 409)
    assert error["Message"].endswith("You must delete all versions in the bucket.")
    own_server.kill()
    own_server.start()
    assert len(listed(s3, name)) == 3
    assert own_server.object_files() == 2
    bucket.object_versions.delete()
    assert own_server.object_files() == 0
    bucket.delete()


def test_a_status_that_is_none_is_refused(s3: Any, bucket: str, refused: Refused) -> None:
    for configuration, code in (
        ({"Status": "enabled"}, "MalformedXML"),
        ({"Status": "Disabled"}, "MalformedXML"),
        ({}, "IllegalVersioningConfigurationException"),
        ({"Status": "Enabled", "MFADelete": "Enabled"}, "NotImplemented"),
    ):
        error = refused(
            lambda c=configuration: s3.put_bucket_versioning(
                Bucket=bucket, VersioningConfiguration=c
            )
        )
        assert code == error["Code"]
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)


def test_a_conditional_write_sees_what_is_there_now(
    s3: Any, versioned: str, refused: Refused
) -> None:
    put(s3, versioned, b"body")
    again = {"Bucket": versioned, "Key": "k", "Body": b"new", "IfNoneMatch": "*"}
    assert refused(lambda: s3.put_object(**again))["Status"] == 412
    s3.delete_object(Bucket=versioned, Key="k")
    s3.put_object(**again)
    assert read(s3, versioned) == b"new"

"""Buckets: names, regions, configurations."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

Refused = Callable[..., dict[str, Any]]


def new_name() -> str:
    return f"bucket-{uuid.uuid4().hex[:12]}"


def test_a_bucket_is_created_listed_found_and_deleted(s3: Any, refused: Refused) -> None:
    name = new_name()
    assert f"/{name}" == s3.create_bucket(Bucket=name)["Location"]
    assert name in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert s3.head_bucket(Bucket=name)["BucketRegion"] == "us-east-1"
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] is None
    s3.delete_bucket(Bucket=name)
    assert refused(lambda: s3.head_bucket(Bucket=name))["Status"] == 404
    error = refused(lambda: s3.delete_bucket(Bucket=name))
    assert ("NoSuchBucket", name) == (error["Code"], error["BucketName"])


def test_creating_an_own_bucket_again_is_fine_in_the_first_region_only(
    server: Any, s3: Any, refused: Refused
) -> None:
    name = new_name()
    for _ in range(2):
        assert s3.create_bucket(Bucket=name)["ResponseMetadata"]["HTTPStatusCode"] == 200
    there = server.client("eu-west-1")
    other = new_name()
    configuration = {"LocationConstraint": "eu-west-1"}
    there.create_bucket(Bucket=other, CreateBucketConfiguration=configuration)
    assert there.get_bucket_location(Bucket=other)["LocationConstraint"] == "eu-west-1"
    error = refused(
        lambda: there.create_bucket(Bucket=other, CreateBucketConfiguration=configuration)
    )
    assert (error["Code"], error["Status"]) == ("BucketAlreadyOwnedByYou", 409)


def test_the_location_must_fit_the_endpoint(server: Any, s3: Any, refused: Refused) -> None:
    there = server.client("eu-west-1")
    error = refused(lambda: there.create_bucket(Bucket=new_name()))
    assert error["Code"] == "IllegalLocationConstraintException"
    assert error["Message"].startswith("The unspecified location constraint is incompatible")
    error = refused(
        lambda: there.create_bucket(
            Bucket=new_name(), CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
        )
    )
    assert error["Code"] == "IllegalLocationConstraintException"
    for client, region, code in (
        (s3, "nowhere", "InvalidLocationConstraint"),
        (s3, "us-east-1", "InvalidLocationConstraint"),
        (there, "us-east-1", "IllegalLocationConstraintException"),
    ):
        error = refused(
            lambda c=client, r=region: c.create_bucket(
                Bucket=new_name(), CreateBucketConfiguration={"LocationConstraint": r}
            )
        )
        assert code == error["Code"]


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "A-Bucket",
        "has_underscore",
        "-dash",
        "dash-",
        "a..b",
        "192.168.1.1",
        "xn--a",
        "b-s3alias",
    ],
)
def test_names_outside_the_rules_are_refused(server: Any, name: str) -> None:
    answer = server.request("PUT", f"/{name}")
    assert answer.status == 400
    assert b"<Code>InvalidBucketName</Code>" in answer.body


def test_a_bucket_with_objects_is_not_deleted_one_with_uploads_is(
    server: Any, s3: Any, bucket: str, refused: Refused
) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    error = refused(lambda: s3.delete_bucket(Bucket=bucket))
    assert (error["Code"], error["Status"]) == ("BucketNotEmpty", 409)
    s3.delete_object(Bucket=bucket, Key="key")
    before = server.object_files()
    upload = s3.create_multipart_upload(Bucket=bucket, Key="key")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="key", UploadId=upload, PartNumber=1, Body=b"x")
    s3.delete_bucket(Bucket=bucket)
    assert before == server.object_files()


def test_buckets_are_listed_in_pages(s3: Any) -> None:
    names = sorted(f"page-{uuid.uuid4().hex[:8]}" for _ in range(5))
    for name in names:
        s3.create_bucket(Bucket=name)
    pages = s3.get_paginator("list_buckets").paginate(
        Prefix="page-", PaginationConfig={"PageSize": 2}
    )
    found = [bucket for page in pages for bucket in page["Buckets"]]
    assert names == [bucket["Name"] for bucket in found]
    assert {"us-east-1"} == {bucket["BucketRegion"] for bucket in found}


def test_configurations_are_given_back_as_they_were_put(
    s3: Any, bucket: str, refused: Refused
) -> None:
    tags = [{"Key": "team", "Value": "ml"}]
    put = s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert tags == s3.get_bucket_tagging(Bucket=bucket)["TagSet"]
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": []})
    assert refused(lambda: s3.get_bucket_tagging(Bucket=bucket))["Code"] == "NoSuchTagSet"
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    s3.delete_bucket_tagging(Bucket=bucket)
    assert refused(lambda: s3.get_bucket_tagging(Bucket=bucket))["Code"] == "NoSuchTagSet"

    policy = '{"Version": "2012-10-17", "Statement": []}'
    put = s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert policy == s3.get_bucket_policy(Bucket=bucket)["Policy"]
    error = refused(lambda: s3.put_bucket_policy(Bucket=bucket, Policy="no json"))
    assert error["Code"] == "MalformedPolicy"
    s3.delete_bucket_policy(Bucket=bucket)
    assert refused(lambda: s3.get_bucket_policy(Bucket=bucket))["Code"] == "NoSuchBucketPolicy"

    rules = [
        {"ID": "old", "Filter": {"Prefix": "tmp/"}, "Status": "Enabled", "Expiration": {"Days": 3}}
    ]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    assert rules == s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    cors = [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": cors})
    assert cors == s3.get_bucket_cors(Bucket=bucket)["CORSRules"]


def test_objects_are_said_to_be_encrypted_as_their_bucket_has_it(
    s3: Any, bucket: str, refused: Refused
) -> None:
    def put(*rules: dict[str, Any]) -> None:
        s3.put_bucket_encryption(
            Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": list(rules)}
        )

    key = "arn:aws:kms:us-east-1:000000000000:key/k"
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    put({"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True})
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    for name in ("k", "copy"):
        head = s3.head_object(Bucket=bucket, Key=name)
        told = head["ServerSideEncryption"], head["SSEKMSKeyId"], head["BucketKeyEnabled"]
        assert told == ("aws:kms", key, True)
    own = s3.put_object(Bucket=bucket, Key="own", Body=b"", ServerSideEncryption="AES256")
    assert (own["ServerSideEncryption"], "SSEKMSKeyId" in own) == ("AES256", False)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    assert refused(lambda: put(rule, rule))["Code"] == "MalformedXML"
    rule = {"ApplyServerSideEncryptionByDefault": {**default, "SSEAlgorithm": "AES256"}}
    assert refused(lambda: put(rule))["Code"] == "InvalidArgument"


def test_new_buckets_have_s3s_defaults(s3: Any, bucket: str, refused: Refused) -> None:
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert {True} == set(block.values())
    s3.delete_public_access_block(Bucket=bucket)
    error = refused(lambda: s3.get_public_access_block(Bucket=bucket))
    assert error["Code"] == "NoSuchPublicAccessBlockConfiguration"
    rule = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    controls = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]
    assert controls["Rules"][0]["ObjectOwnership"] == "BucketOwnerEnforced"
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    for call in (s3.get_bucket_versioning, s3.get_bucket_logging):
        assert {"ResponseMetadata"} == set(call(Bucket=bucket))
    assert [grant["Permission"] for grant in s3.get_bucket_acl(Bucket=bucket)["Grants"]] == [
        "FULL_CONTROL"
    ]


def test_object_lock_is_refused_rather_than_ignored(s3: Any, refused: Refused) -> None:
    error = refused(
        lambda: s3.create_bucket(Bucket="a-locked-one", ObjectLockEnabledForBucket=True)
    )
    assert (error["Code"], error["Status"]) == ("NotImplemented", 400)


def test_ownership_that_brings_acls_is_refused(s3: Any, bucket: str, refused: Refused) -> None:
    def put(ownership: str) -> Any:
        rules = {"Rules": [{"ObjectOwnership": ownership}]}
        return s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=rules)

    put("BucketOwnerEnforced")
    assert refused(lambda: put("ObjectWriter"))["Code"] == "NotImplemented"
    error = refused(lambda: s3.create_bucket(Bucket="a-public-one", ACL="public-read"))
    assert error["Code"] == "InvalidBucketAclWithObjectOwnership"
    s3.create_bucket(Bucket="a-private-one", ACL="private")
    error = refused(lambda: s3.put_bucket_acl(Bucket="a-private-one", ACL="private"))
    assert error["Code"] == "AccessControlListNotSupported"

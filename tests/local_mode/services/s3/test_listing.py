"""Pages of keys, as boto3 and its paginators see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

KEYS = [
    "a",
    "a/1",
    "a/2/x",
    "a/2/y",
    "b&<>\"' %2F+",
    "b/",
    "b/3",
    "c//4",
    "ü/5",
    "z",
]


@pytest.fixture
def filled(s3: Any, bucket: str) -> str:
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    return bucket


def seen(page: Any) -> tuple[list[str], list[str]]:
    return (
        [entry["Key"] for entry in page.get("Contents", [])],
        [entry["Prefix"] for entry in page.get("CommonPrefixes", [])],
    )


def test_everything_is_listed_in_the_order_of_bytes(s3: Any, filled: str) -> None:
    expected = sorted(KEYS, key=str.encode)
    assert (expected, []) == seen(s3.list_objects_v2(Bucket=filled))
    assert (expected, []) == seen(s3.list_objects(Bucket=filled))


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2", "list_object_versions"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("delimiter", ["", "/", "//"])
def test_pages_join_to_the_whole(
    s3: Any, filled: str, operation: str, size: int, delimiter: str
) -> None:
    whole = s3.list_objects_v2(Bucket=filled, Delimiter=delimiter)
    keys: list[str] = []
    prefixes: list[str] = []
    paginator = s3.get_paginator(operation)
    for page in paginator.paginate(
        Bucket=filled, Delimiter=delimiter, PaginationConfig={"PageSize": size}
    ):
        entries = page.get("Contents", page.get("Versions", []))
        keys += [entry["Key"] for entry in entries]
        prefixes += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
        assert len(entries) + len(page.get("CommonPrefixes", [])) <= size
    assert seen(whole) == (keys, prefixes)


def test_a_delimiter_rolls_up_what_lies_below(s3: Any, filled: str) -> None:
    keys, prefixes = seen(s3.list_objects_v2(Bucket=filled, Delimiter="/"))
    assert prefixes == ["a/", "b/", "c/", "ü/"]
    assert ["a", KEYS[4], "z"] == keys
    assert seen(s3.list_objects_v2(Bucket=filled, Prefix="a/", Delimiter="/")) == (
        ["a/1"],
        ["a/2/"],
    )


def test_a_listing_can_start_behind_a_key(s3: Any, filled: str) -> None:
    answer = s3.list_objects_v2(Bucket=filled, StartAfter="b/3")
    assert seen(answer) == (["c//4", "z", "ü/5"], [])
    assert answer["StartAfter"] == "b/3"
    assert seen(s3.list_objects(Bucket=filled, Marker="b/3")) == (["c//4", "z", "ü/5"], [])


def test_a_page_says_what_it_is(s3: Any, filled: str) -> None:
    page = s3.list_objects_v2(Bucket=filled, MaxKeys=2, FetchOwner=True)
    assert (True, 2, 2, "", filled) == (
        page["IsTruncated"],
        page["KeyCount"],
        page["MaxKeys"],
        page["Prefix"],
        page["Name"],
    )
    entry = page["Contents"][0]
    assert (
        entry["Size"],
        entry["StorageClass"],
        entry["ChecksumAlgorithm"],
    ) == (1, "STANDARD", ["CRC32"])
    assert len(entry["Owner"]["ID"]) == 64
    first = s3.list_objects(Bucket=filled, MaxKeys=2, Delimiter="/")
    assert first["NextMarker"] == "a/"


def test_asking_for_nothing_gives_nothing(s3: Any, filled: str) -> None:
    page = s3.list_objects_v2(Bucket=filled, MaxKeys=0)
    assert (seen(page), page["KeyCount"], page["IsTruncated"]) == (([], []), 0, False)
    assert seen(s3.list_objects_v2(Bucket=filled, Prefix="nothing")) == ([], [])


def test_arguments_that_cannot_be_are_refused(
    s3: Any, filled: str, refused: Callable[..., dict[str, Any]]
) -> None:
    for arguments in (
        {"MaxKeys": -1},
        {"ContinuationToken": "#"},
        {"ContinuationToken": ""},
        {"EncodingType": "rot13"},
    ):
        error = refused(lambda a=arguments: s3.list_objects_v2(Bucket=filled, **a))
        assert error["Code"] == "InvalidArgument", arguments
    error = refused(lambda: s3.list_objects_v2(Bucket="no-such-bucket"))
    assert error["Code"] == "NoSuchBucket"


def test_every_object_is_its_own_only_version(s3: Any, filled: str) -> None:
    versions = s3.list_object_versions(Bucket=filled)["Versions"]
    assert {("null", True)} == {(v["VersionId"], v["IsLatest"]) for v in versions}
    s3.delete_objects(
        Bucket=filled,
        Delete={"Objects": [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in versions]},
    )
    assert s3.list_objects_v2(Bucket=filled)["KeyCount"] == 0

"""Listing against a naive model: every page, prefix and delimiter, with any keys."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sagelocal.store.database import Database
from sagelocal.store.object_listing import Listing, successor
from sagelocal.store.objects import NoSuchBucket, ObjectStore

# Few characters, so that prefixes are shared; among them the ends of what UTF-8 can say.
LETTERS = "a/-b\ud7ff\ue000\U0010ffff\0"
KEYS = st.text(st.sampled_from(LETTERS), min_size=1, max_size=6)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database(tmp_path_factory.mktemp("listing") / "plane.sqlite")
    yield database
    database.close()


@pytest.fixture(scope="module")
def store(database: Database, tmp_path_factory: pytest.TempPathFactory) -> ObjectStore:
    return ObjectStore(database, tmp_path_factory.mktemp("objects"))


def fill(store: ObjectStore, keys: set[str]) -> None:
    """Make the bucket hold these keys and nothing else."""
    if not store.has_bucket("bucket"):
        store.create_bucket("bucket", "us-east-1")
    there = {info.key for info in store.list("bucket")}
    for key in there - keys:
        store.delete("bucket", key)
    for key in keys - there:
        store.put_stream("bucket", key, io.BytesIO(b""))


def model(keys: set[str], prefix: str, delimiter: str | None, start_after: str | None) -> list[str]:
    """Entries of a listing by its definition: keys and common prefixes in the order of bytes."""
    after = start_after
    if after is not None and delimiter and after.startswith(prefix):
        after = rolled_up(after, prefix, delimiter)
    entries = {
        rolled_up(key, prefix, delimiter)
        for key in keys
        if key.startswith(prefix) and (start_after is None or key > start_after)
    }
    return sorted((e for e in entries if after is None or e > after), key=str.encode)


def rolled_up(key: str, prefix: str, delimiter: str | None) -> str:
    head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
    return prefix + head + found if found else key


def entries(page: Listing) -> list[str]:
    return sorted([*page.prefixes, *(info.key for info in page)], key=str.encode)


@settings(max_examples=150, deadline=None)
@example({"a", "a/", "a//", "b"}, "a", "/", None)
@example({"a/1", "a/2", "b"}, "", "/", "a/1")
@given(
    st.sets(KEYS, max_size=12),
    st.text(st.sampled_from(LETTERS), max_size=2),
    st.sampled_from([None, "/", "//", "a", "-b"]),
    st.none() | KEYS,
)
def test_a_listing_equals_its_definition(
    store: ObjectStore,
    keys: set[str],
    prefix: str,
    delimiter: str | None,
    start_after: str | None,
) -> None:
    fill(store, keys)
    page = store.list("bucket", prefix, delimiter=delimiter, start_after=start_after)
    assert model(keys, prefix, delimiter, start_after) == entries(page)
    assert not page.truncated


@settings(max_examples=150, deadline=None)
@given(
    st.sets(KEYS, max_size=12),
    st.text(st.sampled_from(LETTERS), max_size=1),
    st.sampled_from([None, "/", "a"]),
    st.integers(1, 5),
)
def test_pages_join_to_the_whole(
    store: ObjectStore, keys: set[str], prefix: str, delimiter: str | None, limit: int
) -> None:
    fill(store, keys)
    joined: list[str] = []
    start_after = None
    while True:
        page = store.list(
            "bucket", prefix, delimiter=delimiter, start_after=start_after, limit=limit
        )
        assert len(entries(page)) <= limit
        joined += entries(page)
        if not page.truncated:
            break
        assert page.last == joined[-1]
        start_after = page.last
    assert model(keys, prefix, delimiter, None) == joined


@given(ANY_TEXT, ANY_TEXT)
def test_a_successor_lies_behind_everything_with_the_prefix(prefix: str, rest: str) -> None:
    beyond = successor(prefix)
    if beyond is None:
        assert set(prefix) <= {"\U0010ffff"}
        return
    assert prefix + rest < beyond
    assert (prefix + rest).encode() < beyond.encode()


def test_a_thousand_folders_are_found_by_seeking(store: ObjectStore, database: Database) -> None:
    store.create_bucket("folders", "us-east-1")
    with database.write():
        for number in range(3000):
            store.put_stream("folders", f"{number // 100:02}/{number:04}", io.BytesIO(b""))
    page = store.list("folders", delimiter="/")
    assert [f"{number:02}/" for number in range(30)] == list(page.prefixes)
    assert len(store.list("folders")) == 3000
    page = store.list("folders", delimiter="/", start_after="04/", limit=2)
    assert (tuple(page.prefixes), page.last, page.truncated) == (("05/", "06/"), "06/", True)


def test_a_missing_bucket_has_no_listing(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(NoSuchBucket):
        store.list("no-such-bucket")

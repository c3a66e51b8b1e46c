"""The object store on a real disk: what is written is read, listed, replaced and deleted whole."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from sagelocal.store.database import Database
from sagelocal.store.objects import (
    BucketExists,
    BucketNotEmpty,
    NoSuchBucket,
    NoSuchKey,
    ObjectStore,
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "plane.sqlite")
    yield database
    database.close()


@pytest.fixture
def store(database: Database, tmp_path: Path) -> ObjectStore:
    store = ObjectStore(database, tmp_path / "objects")
    store.create_bucket("bucket", "us-east-1")
    return store


def put(store: ObjectStore, key: str, body: bytes) -> None:
    store.put_stream("bucket", key, io.BytesIO(body))


def contents(store: ObjectStore, key: str) -> bytes:
    _, file = store.read("bucket", key)
    with file:
        return file.read()


def files_on_disk(root: Path) -> int:
    return sum(1 for path in root.rglob("*") if path.is_file())


def test_an_object_is_read_back_with_its_size_etag_and_metadata(store: ObjectStore) -> None:
    body = b"label,feature\n" * 1000
    info = store.put_stream(
        "bucket", "train/data.csv", io.BytesIO(body), content_type="text/csv", metadata={"a": "ä"}
    )
    assert info == store.head("bucket", "train/data.csv")
    assert (len(body), hashlib.md5(body).hexdigest()) == (info.size, info.etag)
    assert (info.content_type, info.metadata) == ("text/csv", {"a": "ä"})
    assert body == contents(store, "train/data.csv")
    assert body == store.path(info).read_bytes()


def test_a_missing_key_and_a_missing_bucket_are_told_apart(store: ObjectStore) -> None:
    assert store.head("bucket", "nothing") is None
    with pytest.raises(NoSuchKey, match="s3://bucket/nothing"):
        store.get("bucket", "nothing")
    with pytest.raises(NoSuchBucket, match="'elsewhere'"):
        store.head("elsewhere", "nothing")
    with pytest.raises(NoSuchBucket, match="'elsewhere'"):
        store.put_stream("elsewhere", "key", io.BytesIO(b"x"))


def test_buckets_are_created_once_and_deleted_when_empty(store: ObjectStore) -> None:
    with pytest.raises(BucketExists):
        store.create_bucket("bucket", "us-east-1")
    put(store, "key", b"x")
    with pytest.raises(BucketNotEmpty):
        store.delete_bucket("bucket")
    assert store.delete("bucket", "key") is None
    assert store.delete("bucket", "key") is None
    store.delete_bucket("bucket")
    assert not store.has_bucket("bucket")
    assert store.buckets() == []


def test_replacing_and_deleting_leave_no_files_behind(store: ObjectStore, tmp_path: Path) -> None:
    for body in (b"one", b"two", b"three"):
        put(store, "key", body)
    assert contents(store, "key") == b"three"
    assert files_on_disk(tmp_path / "objects") == 1
    store.delete("bucket", "key")
    assert files_on_disk(tmp_path / "objects") == 0


@pytest.mark.parametrize("delete", [True, False], ids=["deleted", "replaced"])
def test_a_reader_keeps_its_bytes_when_the_object_goes(store: ObjectStore, delete: bool) -> None:
    put(store, "key", b"old" * 100_000)
    info, file = store.read("bucket", "key")
    with file:
        first = file.read(10)
        if delete:
            store.delete("bucket", "key")
        else:
            put(store, "key", b"new")
        assert first + file.read() == b"old" * 100_000
    with pytest.raises(NoSuchKey):
        store.open(info)


def test_a_staged_copy_can_be_overwritten_without_changing_the_object(
    store: ObjectStore, tmp_path: Path
) -> None:
    body = bytes(range(256)) * 8192
    put(store, "data", body)
    info = store.get("bucket", "data")
    target = tmp_path / "channel"
    store.stage(info, target)
    assert body == target.read_bytes()
    with target.open("r+b") as job:
        job.write(b"overwritten")
    assert body == contents(store, "data")
    with pytest.raises(FileExistsError):
        store.stage(info, target)
    with pytest.raises(FileNotFoundError):
        store.stage(info, tmp_path / "no" / "folder")
    store.delete("bucket", "data")
    with pytest.raises(NoSuchKey):
        store.stage(info, tmp_path / "late")
    assert not (tmp_path / "late").exists()


@pytest.mark.parametrize("consume", [True, False], ids=["consumed", "kept"])
def test_a_file_becomes_an_object_that_its_writer_cannot_change(
    store: ObjectStore, tmp_path: Path, consume: bool
) -> None:
    source = tmp_path / "model.tar.gz"
    source.write_bytes(b"model" * 1000)
    info = store.put_file("bucket", "out/model.tar.gz", source, consume=consume)
    assert consume is not source.exists()
    source.write_bytes(b"something else")
    assert contents(store, "out/model.tar.gz") == b"model" * 1000
    assert hashlib.md5(b"model" * 1000).hexdigest() == info.etag


def test_everything_is_there_after_opening_again(
    store: ObjectStore, database: Database, tmp_path: Path
) -> None:
    put(store, "a", b"first")
    put(store, "b", b"second")
    again = ObjectStore(database, tmp_path / "objects")
    assert [info.key for info in again.list("bucket")] == ["a", "b"]
    assert contents(again, "b") == b"second"

"""Files of bytes: cloned apart, swept after a crash, found again by number."""

from __future__ import annotations

import io
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sagelocal.store.database import Database
from sagelocal.store.object_files import ObjectFiles, clone
from sagelocal.store.objects import ObjectInfo, ObjectStore


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


def paths(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=10_000), st.integers(0, 10_000), st.integers(0, 10_000))
def test_ranges_of_files_are_appended(
    tmp_path: Path, content: bytes, offset: int, size: int
) -> None:
    source = tmp_path / "source"
    source.write_bytes(content)
    expected = content[offset : offset + size]
    with ObjectFiles(tmp_path / "objects").incoming() as incoming, source.open("rb") as file:
        incoming.write(b"before")
        incoming.append_file(file, len(expected), offset)
        incoming.write(b"behind")
        incoming.close()
        assert b"before" + expected + b"behind" == incoming.path.read_bytes()
        assert 12 + len(expected) == incoming.size


def test_a_file_shorter_than_expected_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"short")
    with (
        ObjectFiles(tmp_path / "objects").incoming() as incoming,
        (tmp_path / "source").open("rb") as file,
        pytest.raises(OSError, match="expected 10 bytes from 0, got 5"),
    ):
        incoming.append_file(file, 10)


def test_a_clone_and_its_source_change_apart(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"0" * 100_000)
    source.chmod(0o444)
    clone(source, target)
    with target.open("r+b") as file:
        file.write(b"1")
    assert source.read_bytes() == b"0" * 100_000
    assert target.read_bytes() == b"1" + b"0" * 99_999


def test_bytes_that_nobody_adopted_are_gone(tmp_path: Path) -> None:
    files = ObjectFiles(tmp_path / "objects")
    with files.incoming() as incoming:
        incoming.write(b"x")
        assert len(paths(tmp_path / "objects")) == 1
    assert paths(tmp_path / "objects") == []


def test_objects_cannot_be_written_to_by_accident(store: ObjectStore) -> None:
    info = store.put_stream("bucket", "key", io.BytesIO(b"x"))
    assert os.stat(store.path(info)).st_mode & 0o222 == 0


def test_unfinished_writes_are_swept_on_opening(
    store: ObjectStore, database: Database, tmp_path: Path
) -> None:
    info = store.put_stream("bucket", "key", io.BytesIO(b"x"))
    abandoned = store.incoming()
    abandoned.write(b"half")
    abandoned.close()
    again = ObjectStore(database, tmp_path / "objects")
    assert [f"files/000/{info.file:08x}"] == paths(tmp_path / "objects")
    assert again.path(info).read_bytes() == b"x"


def test_a_file_renamed_but_not_committed_is_replaced_by_the_next(
    store: ObjectStore, database: Database, tmp_path: Path
) -> None:
    """What a kill between the rename and the commit leaves."""

    def interrupted() -> None:
        with database.write():
            store.put_stream("bucket", "key", io.BytesIO(b"lost"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert store.head("bucket", "key") is None
    info = store.put_stream("bucket", "other", io.BytesIO(b"kept"))
    assert store.path(info).read_bytes() == b"kept"
    assert len(paths(tmp_path / "objects")) == 1


def test_a_replaced_file_that_a_kill_left_is_deleted_on_opening(
    store: ObjectStore, database: Database, tmp_path: Path
) -> None:
    old = store.put_stream("bucket", "key", io.BytesIO(b"old"))
    with database.write() as connection:
        # Committed, but not yet deleted from the disk.
        connection.execute("DELETE FROM objects")
        connection.execute("INSERT INTO discarded_files VALUES (?)", (old.file,))
    ObjectStore(database, tmp_path / "objects")
    assert paths(tmp_path / "objects") == []
    assert database.read("SELECT * FROM discarded_files") == []


def test_a_write_that_is_checked_and_refused_changes_nothing(
    store: ObjectStore, tmp_path: Path
) -> None:
    class RefusedError(Exception):
        pass

    def check(current: ObjectInfo | None) -> None:
        assert current is not None
        assert current.key == "key"
        raise RefusedError

    store.put_stream("bucket", "key", io.BytesIO(b"old"))
    with store.incoming() as incoming:
        incoming.write(b"new")
        with pytest.raises(RefusedError):
            store.put("bucket", "key", incoming, check=check)
    with pytest.raises(RefusedError):
        store.delete("bucket", "key", check=check)
    assert store.path(store.get("bucket", "key")).read_bytes() == b"old"
    assert len(paths(tmp_path / "objects")) == 1


def test_many_files_spread_over_folders(
    store: ObjectStore, database: Database, tmp_path: Path
) -> None:
    with database.write() as connection:
        connection.execute("UPDATE file_numbers SET next=4095")
    infos = [store.put_stream("bucket", str(n), io.BytesIO(b"x")) for n in range(3)]
    assert [info.file for info in infos] == [4095, 4096, 4097]
    assert paths(tmp_path / "objects") == [
        "files/000/00000fff",
        "files/001/00001000",
        "files/001/00001001",
    ]


def test_keys_of_any_characters_are_kept(store: ObjectStore) -> None:
    for key in ("a\0b", "ä/\U0010ffff", "'; DROP TABLE objects; --", " "):
        store.put_stream("bucket", key, io.BytesIO(key.encode()))
        info, file = store.read("bucket", key)
        with file:
            assert (key, key.encode()) == (info.key, file.read())


def test_rows_refer_to_buckets_that_exist(store: ObjectStore, database: Database) -> None:
    with pytest.raises(sqlite3.IntegrityError), database.write() as connection:
        connection.execute("INSERT INTO objects VALUES ('no','k',99,0,'',0,NULL,NULL,'{}','null')")

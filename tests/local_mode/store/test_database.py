"""One writer and many readers, whatever fails."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sagelocal.store.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "plane.sqlite")
    with database.write() as connection:
        connection.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
        connection.execute(
            "CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)"
        )
    yield database
    database.close()


def open_files(path: Path) -> int:
    """How many descriptors of this process belong to the database."""
    links = Path("/proc/self/fd").iterdir()
    return sum(str(path) in os.readlink(link) for link in links if link.is_symlink())


def test_threads_that_have_ended_leave_nothing_open(database: Database, tmp_path: Path) -> None:
    def read_once() -> None:
        thread = threading.Thread(target=database.read, args=("SELECT * FROM parent",))
        thread.start()
        thread.join()

    read_once()
    before = open_files(tmp_path / "plane.sqlite")
    for _ in range(20):
        read_once()
    assert open_files(tmp_path / "plane.sqlite") == before


def test_reads_at_once_do_not_wait_for_one_another(database: Database) -> None:
    everybody = threading.Barrier(8)
    answers = []

    def read() -> None:
        everybody.wait()
        answers.extend(database.read("SELECT count(*) FROM parent"))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row[0] for row in answers] == [0] * 8


def test_a_commit_that_fails_does_not_swallow_the_writes_after_it(
    database: Database, tmp_path: Path
) -> None:
    with (
        pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"),
        database.write() as connection,
    ):
        connection.execute("INSERT INTO child VALUES (7)")
    with database.write() as connection:
        connection.execute("INSERT INTO parent VALUES (1)")
    seen_by_others = sqlite3.connect(tmp_path / "plane.sqlite")
    assert seen_by_others.execute("SELECT id FROM parent").fetchall() == [(1,)]
    assert seen_by_others.execute("SELECT id FROM child").fetchall() == []
    seen_by_others.close()


def test_a_full_disk_fails_the_write_and_no_other(database: Database) -> None:
    with database.write() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages}")
    with (
        pytest.raises(sqlite3.OperationalError, match="full"),
        database.write() as connection,
    ):
        connection.executemany("INSERT INTO parent VALUES (?)", ((n,) for n in range(100_000)))
    with database.write() as connection:
        connection.execute("PRAGMA max_page_count=1000000")
        connection.execute("INSERT INTO parent VALUES (1)")
    assert [tuple(row) for row in database.read("SELECT id FROM parent")] == [(1,)]

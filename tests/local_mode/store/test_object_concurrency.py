"""Many threads on one key: every read is one write, whole."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sagelocal.store.database import Database
from sagelocal.store.objects import NoSuchKey, ObjectStore


def test_readers_see_one_write_or_another_and_never_a_mix(tmp_path: Path) -> None:
    database = Database(tmp_path / "plane.sqlite")
    store = ObjectStore(database, tmp_path / "objects")
    store.create_bucket("bucket", "us-east-1")
    bodies = [bytes([n]) * 50_000 for n in range(8)]
    store.put_stream("bucket", "key", io.BytesIO(bodies[0]))

    def write(number: int) -> None:
        for _ in range(20):
            store.put_stream("bucket", "key", io.BytesIO(bodies[number]))

    def read(_: int) -> None:
        for _ in range(60):
            info, file = store.read("bucket", "key")
            with file:
                assert info.etag == hashlib.md5(file.read()).hexdigest()

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(f, n) for n in range(4) for f in (write, read)]:
            done.result()
    assert sum(1 for p in (tmp_path / "objects").rglob("*") if p.is_file()) == 1
    database.close()


def test_readers_of_a_key_that_comes_and_goes_see_it_or_not(tmp_path: Path) -> None:
    database = Database(tmp_path / "plane.sqlite")
    store = ObjectStore(database, tmp_path / "objects")
    store.create_bucket("bucket", "us-east-1")

    def toggle() -> None:
        for _ in range(100):
            store.put_stream("bucket", "key", io.BytesIO(b"content"))
            store.delete("bucket", "key")

    def read() -> int:
        missing = 0
        for _ in range(300):
            try:
                _, file = store.read("bucket", "key")
            except NoSuchKey:
                missing += 1
                continue
            with file:
                assert file.read() == b"content"
        return missing

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(f) for f in (toggle, read, read)]:
            done.result()
    assert store.head("bucket", "key") is None
    database.close()

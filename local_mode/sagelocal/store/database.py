"""One SQLite file: many readers, one writer, numbered migrations.

WAL with synchronous=NORMAL keeps every committed row through `kill -9`; only a power cut can lose
the last few. Each read borrows a connection that nobody uses, so there are as many as there were
reads at once; writes take a lock, so that a transaction is never refused for another one's sake.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any


class Database:
    """Open, and migrate to the newest schema, the database at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: deque[sqlite3.Connection] = deque()
        self._write_lock = threading.RLock()
        self._connections: list[sqlite3.Connection] = []
        self._writer = self._connect()
        self._writer.execute("PRAGMA journal_mode=WAL")
        self._writer.execute("PRAGMA synchronous=NORMAL")
        self._migrate()

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Every row of a SELECT."""
        with self._reader() as reader:
            return reader.execute(sql, parameters).fetchall()

    def read_one(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Row | None:
        """The first row of a SELECT, or None."""
        with self._reader() as reader:
            row: sqlite3.Row | None = reader.execute(sql, parameters).fetchone()
            return row

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction: committed when the block ends, rolled back when it raises. Can nest."""
        with self._write_lock:
            if self._writer.in_transaction:
                yield self._writer
                return
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                # A full disk may have ended the transaction already, or fail the commit and leave
                # it open, where the next write would join it and never be committed.
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close every connection, also one that is being read from."""
        with self._write_lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, timeout=30
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys=ON")
        self._connections.append(connection)
        return connection

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        try:
            reader = self._idle.pop()
        except IndexError:
            reader = self._connect()
        try:
            yield reader
        finally:
            self._idle.append(reader)

    def _migrate(self) -> None:
        done = int(self._writer.execute("PRAGMA user_version").fetchone()[0])
        folder = resources.files("sagelocal.store") / "migrations"
        scripts = sorted(
            (f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name
        )
        for script in scripts:
            number = int(script.name.split("_")[0])
            if number > done:
                self._writer.executescript(
                    f"BEGIN;\n{script.read_text()}\nPRAGMA user_version={number};\nCOMMIT;"
                )

"""What the object store's rows mean, and the steps that several writers share.

Functions that take a connection run inside the caller's transaction.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from sagelocal.store.database import Database
from sagelocal.store.object_files import ObjectFiles

ChecksumType = Literal["FULL_OBJECT", "COMPOSITE"]
DEFAULT_CONTENT_TYPE = "binary/octet-stream"


class ObjectStoreError(Exception):
    """Root of what the object store refuses.

    NoSuchBucket, BucketExists, BucketNotEmpty, NoSuchKey, NoSuchUpload
    """


class NoSuchBucket(ObjectStoreError):
    """No bucket has that name."""

    def __init__(self, bucket: str) -> None:
        super().__init__(f"there is no bucket {bucket!r}")
        self.bucket = bucket


class BucketExists(ObjectStoreError):
    """A bucket of that name is there."""

    def __init__(self, bucket: str) -> None:
        super().__init__(f"the bucket {bucket!r} exists already")
        self.bucket = bucket


class BucketNotEmpty(ObjectStoreError):
    """A bucket that holds objects cannot be deleted."""

    def __init__(self, bucket: str) -> None:
        super().__init__(f"the bucket {bucket!r} holds objects; delete them first")
        self.bucket = bucket


class NoSuchKey(ObjectStoreError):
    """The bucket has no object of that key (any more)."""

    def __init__(self, bucket: str, key: str) -> None:
        super().__init__(f"there is no object s3://{bucket}/{key}")
        self.bucket = bucket
        self.key = key


class NoSuchUpload(ObjectStoreError):
    """The multipart upload was completed or aborted, or never was."""

    def __init__(self, bucket: str, key: str, upload: str) -> None:
        super().__init__(f"there is no upload {upload!r} to s3://{bucket}/{key}")
        self.bucket = bucket
        self.key = key
        self.upload = upload


@dataclass(frozen=True)
class Bucket:
    """`created_at` is seconds since 1970."""

    name: str
    region: str
    created_at: float


@dataclass(frozen=True)
class Description:
    """What an object carries besides its bytes.

    `attributes` are the other system-defined members by AWS's names (CacheControl, StorageClass,
    ServerSideEncryption, ...); `checksums` are base64 by algorithm (CRC32, SHA256, ...).
    """

    content_type: str = DEFAULT_CONTENT_TYPE
    metadata: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    checksums: Mapping[str, str] = field(default_factory=dict)
    checksum_type: ChecksumType | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Description:
        return cls(**json.loads(text))


@dataclass(frozen=True)
class ObjectPart:
    """One part of an object that came by multipart upload."""

    number: int
    size: int
    checksums: Mapping[str, str]


@dataclass(frozen=True)
class ObjectInfo:
    """One object as it was when asked for. `size` in bytes, `etag` without quotes.

    `part_count` and `upload` are None unless the object came by multipart upload. `file` names the
    bytes and belongs to the store.
    """

    bucket: str
    key: str
    size: int
    etag: str
    modified_at: float
    description: Description
    part_count: int | None
    upload: str | None
    file: int

    @property
    def content_type(self) -> str:
        return self.description.content_type

    @property
    def metadata(self) -> Mapping[str, str]:
        return self.description.metadata

    @property
    def checksums(self) -> Mapping[str, str]:
        return self.description.checksums

    @property
    def tags(self) -> Mapping[str, str]:
        return self.description.tags


Check = Callable[[ObjectInfo | None], None]
"""Is given the object that is there, inside the transaction; raises to leave it there."""


def object_info(row: sqlite3.Row) -> ObjectInfo:
    return ObjectInfo(
        bucket=row["bucket"],
        key=row["key"],
        size=row["size"],
        etag=row["etag"],
        modified_at=row["modified_at"],
        description=Description.from_json(row["description"]),
        part_count=row["part_count"],
        upload=row["upload"],
        file=row["file"],
    )


def require_bucket(connection: sqlite3.Connection, name: str) -> None:
    """Raises NoSuchBucket."""
    if connection.execute("SELECT 1 FROM buckets WHERE name=?", (name,)).fetchone() is None:
        raise NoSuchBucket(name)


def find_object(connection: sqlite3.Connection, bucket: str, key: str) -> ObjectInfo | None:
    """The object, or None. Raises NoSuchBucket."""
    row = connection.execute(
        "SELECT * FROM objects WHERE bucket=? AND key=?", (bucket, key)
    ).fetchone()
    if row is None:
        require_bucket(connection, bucket)
        return None
    return object_info(row)


def adopt_file(connection: sqlite3.Connection, files: ObjectFiles, source: Path) -> int:
    """Give a finished file the next number; a rolled-back transaction gives the number back."""
    number = int(
        connection.execute(
            "UPDATE file_numbers SET next=next+1 RETURNING next-1 AS number"
        ).fetchone()["number"]
    )
    files.adopt(source, number)
    return number


def discard_file(connection: sqlite3.Connection, number: int) -> None:
    """Note a file that is to be deleted once this transaction is committed."""
    connection.execute("INSERT OR IGNORE INTO discarded_files VALUES (?)", (number,))


def delete_discarded_files(database: Database, files: ObjectFiles) -> None:
    """Delete what committed transactions have discarded."""
    numbers = [row["file"] for row in database.read("SELECT file FROM discarded_files")]
    if not numbers:
        return
    for number in numbers:
        files.remove(number)
    with database.write() as connection:
        connection.executemany(
            "DELETE FROM discarded_files WHERE file=?", [(number,) for number in numbers]
        )


@dataclass(frozen=True)
class NewObject:
    """An object about to be: its bytes are the finished file `source`.

    `parts` and `upload` tell of the multipart upload that it came by.
    """

    bucket: str
    key: str
    source: Path
    size: int
    etag: str
    description: Description
    parts: Sequence[ObjectPart] = ()
    upload: str | None = None


def publish(
    connection: sqlite3.Connection, files: ObjectFiles, new: NewObject, check: Check | None
) -> ObjectInfo:
    """Make `new` the object of its key. Raises NoSuchBucket, and whatever `check` raises."""
    current = find_object(connection, new.bucket, new.key)
    if check is not None:
        check(current)
    if current is not None:
        connection.execute("DELETE FROM objects WHERE file=?", (current.file,))
        discard_file(connection, current.file)
    info = ObjectInfo(
        bucket=new.bucket,
        key=new.key,
        size=new.size,
        etag=new.etag,
        modified_at=time.time(),
        description=new.description,
        part_count=len(new.parts) or None,
        upload=new.upload,
        file=adopt_file(connection, files, new.source),
    )
    connection.execute(
        "INSERT INTO objects VALUES (?,?,?,?,?,?,?,?,?)",
        (
            info.bucket,
            info.key,
            info.file,
            info.size,
            info.etag,
            info.modified_at,
            info.part_count,
            info.upload,
            info.description.to_json(),
        ),
    )
    connection.executemany(
        "INSERT INTO object_parts VALUES (?,?,?,?)",
        [(info.file, part.number, part.size, json.dumps(part.checksums)) for part in new.parts],
    )
    return info

"""What the object store's rows mean, and the steps that several writers share.

Functions that take a connection run inside the caller's transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from sagelocal.store.database import Database
from sagelocal.store.object_files import ObjectFiles
from sagelocal.store.version_ids import NULL_VERSION

ChecksumType = Literal["FULL_OBJECT", "COMPOSITE"]
Versioning = Literal["Enabled", "Suspended"]
DEFAULT_CONTENT_TYPE = "binary/octet-stream"


class ObjectStoreError(Exception):
    """Root of what the object store refuses.

    NoSuchBucket, BucketExists, BucketNotEmpty, NoSuchKey, NoSuchVersion, NoSuchUpload
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
    """A bucket that holds objects, or versions of some, cannot be deleted."""

    def __init__(self, bucket: str, *, versioned: bool = False) -> None:
        super().__init__(f"the bucket {bucket!r} holds objects; delete them first")
        self.bucket = bucket
        self.versioned = versioned


class NoSuchKey(ObjectStoreError):
    """The bucket has no object of that key (any more); `marker` if one says that it was deleted."""

    def __init__(self, bucket: str, key: str, marker: DeleteMarker | None = None) -> None:
        super().__init__(f"there is no object s3://{bucket}/{key}")
        self.bucket = bucket
        self.key = key
        self.marker = marker


class NoSuchVersion(ObjectStoreError):
    """The key has no version of that id (any more)."""

    def __init__(self, bucket: str, key: str, version: str) -> None:
        super().__init__(f"s3://{bucket}/{key} has no version {version!r}")
        self.bucket = bucket
        self.key = key
        self.version = version


class NoSuchUpload(ObjectStoreError):
    """The multipart upload was completed or aborted, or never was."""

    def __init__(self, bucket: str, key: str, upload: str) -> None:
        super().__init__(f"there is no upload {upload!r} to s3://{bucket}/{key}")
        self.bucket = bucket
        self.key = key
        self.upload = upload


@dataclass(frozen=True)
class Bucket:
    """`created_at` is seconds since 1970; `versioning` is None where it never was asked for."""

    name: str
    region: str
    created_at: float
    versioning: Versioning | None = None


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
    """One version of an object as it was when asked for. `size` in bytes, `etag` without quotes.

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
    version: str = NULL_VERSION

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


@dataclass(frozen=True)
class DeleteMarker:
    """A version without bytes, which says that the object was deleted then."""

    bucket: str
    key: str
    version: str
    modified_at: float


Check = Callable[[ObjectInfo | None], None]
"""Is given the object that is there, inside the transaction; raises to leave it there."""


COLUMNS = "bucket,key,file,size,etag,modified_at,part_count,upload,description,version"

# Stands for the sequence number of the version that is in `objects`: newer than every other.
NEWEST = 2**62

EVERY_VERSION = (
    f"(SELECT {COLUMNS}, {NEWEST} AS sequence FROM objects "
    f"UNION ALL SELECT {COLUMNS}, sequence FROM older_versions)"
)
"""Both tables as one, with `sequence`, to select from."""

ONE_VERSION = f"SELECT * FROM {EVERY_VERSION} WHERE bucket=? AND key=? AND version=?"


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
        version=row["version"],
    )


def object_or_marker(row: sqlite3.Row) -> ObjectInfo | DeleteMarker:
    """What a row means that may be one of `older_versions`."""
    if row["file"] is None:
        return DeleteMarker(row["bucket"], row["key"], row["version"], row["modified_at"])
    return object_info(row)


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
    """Note a file to be deleted once this transaction is committed, and forget its parts."""
    connection.execute("DELETE FROM object_parts WHERE file=?", (number,))
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

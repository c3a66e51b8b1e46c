"""What writers do to rows: publish an object, delete one, delete one of its versions.

    objects           the newest version of each key, unless that is a delete marker
    older_versions    every other version, and every delete marker

In a bucket without versioning what is replaced or deleted is gone, and `older_versions` has nothing
of it. With versioning it is set aside there; once versioning is suspended, what is written has the
version `null`, of which a key has one at most. The functions run inside the caller's transaction.

Source: Amazon S3 User Guide, "How S3 Versioning works" and "Working with delete markers".
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sagelocal.store.object_files import ObjectFiles
from sagelocal.store.object_rows import (
    COLUMNS,
    ONE_VERSION,
    Check,
    DeleteMarker,
    Description,
    NoSuchVersion,
    ObjectInfo,
    ObjectPart,
    adopt_file,
    discard_file,
    find_object,
    object_or_marker,
    require_bucket,
)
from sagelocal.store.version_ids import NULL_VERSION, new_version_id


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
    version = _make_room(connection, new.bucket, new.key, current)
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
        version=version,
    )
    connection.execute(
        f"INSERT INTO objects ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)",
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
            info.version,
        ),
    )
    connection.executemany(
        "INSERT INTO object_parts VALUES (?,?,?,?)",
        [(info.file, part.number, part.size, json.dumps(part.checksums)) for part in new.parts],
    )
    return info


def delete(
    connection: sqlite3.Connection, bucket: str, key: str, check: Check | None
) -> DeleteMarker | None:
    """Delete the object of a key, if it has one; the marker that tells so in a versioned bucket.

    Raises NoSuchBucket, and whatever `check` raises.
    """
    current = find_object(connection, bucket, key)
    if check is not None:
        check(current)
    version = _make_room(connection, bucket, key, current)
    if _versioning(connection, bucket) is None:
        return None
    marker = DeleteMarker(bucket, key, version, time.time())
    connection.execute(
        "INSERT INTO older_versions (bucket,key,modified_at,version) VALUES (?,?,?,?)",
        (bucket, key, marker.modified_at, version),
    )
    return marker


def delete_version(
    connection: sqlite3.Connection, bucket: str, key: str, version: str, check: Check | None
) -> ObjectInfo | DeleteMarker:
    """Delete one version for good; what it was. The newest of the others becomes the object.

    Raises NoSuchBucket, NoSuchVersion, and whatever `check` raises.
    """
    found = find_version(connection, bucket, key, version)
    if check is not None:
        check(found if isinstance(found, ObjectInfo) else None)
    if isinstance(found, ObjectInfo):
        _forget(connection, found)
    else:
        _drop_older(connection, bucket, key, version)
    _promote(connection, bucket, key)
    return found


def find_version(
    connection: sqlite3.Connection, bucket: str, key: str, version: str
) -> ObjectInfo | DeleteMarker:
    """Raises NoSuchBucket, NoSuchVersion."""
    row = connection.execute(ONE_VERSION, (bucket, key, version)).fetchone()
    if row is None:
        require_bucket(connection, bucket)
        raise NoSuchVersion(bucket, key, version)
    return object_or_marker(row)


def _versioning(connection: sqlite3.Connection, bucket: str) -> str | None:
    row = connection.execute("SELECT versioning FROM buckets WHERE name=?", (bucket,)).fetchone()
    text: str | None = row["versioning"]
    return text


def _make_room(
    connection: sqlite3.Connection, bucket: str, key: str, current: ObjectInfo | None
) -> str:
    """Take what is there out of the way of a new version; the id that the new one has."""
    versioning = _versioning(connection, bucket)
    if current is not None and versioning != "Enabled" and current.version == NULL_VERSION:
        _forget(connection, current)
    elif current is not None:
        _set_aside(connection, current)
    if versioning == "Enabled":
        return new_version_id()
    if versioning is not None:
        _drop_older(connection, bucket, key, NULL_VERSION)
    return NULL_VERSION


def _forget(connection: sqlite3.Connection, info: ObjectInfo) -> None:
    """Delete a version whose bytes nobody will ask for again."""
    connection.execute("DELETE FROM objects WHERE file=?", (info.file,))
    connection.execute("DELETE FROM older_versions WHERE file=?", (info.file,))
    discard_file(connection, info.file)


def _set_aside(connection: sqlite3.Connection, info: ObjectInfo) -> None:
    connection.execute(
        f"INSERT INTO older_versions ({COLUMNS}) SELECT {COLUMNS} FROM objects WHERE file=?",
        (info.file,),
    )
    connection.execute("DELETE FROM objects WHERE file=?", (info.file,))


def _drop_older(connection: sqlite3.Connection, bucket: str, key: str, version: str) -> None:
    """Delete an older version or a marker, if there is one of that id."""
    row = connection.execute(
        "DELETE FROM older_versions WHERE bucket=? AND key=? AND version=? RETURNING file",
        (bucket, key, version),
    ).fetchone()
    if row is not None and row["file"] is not None:
        discard_file(connection, row["file"])


def _promote(connection: sqlite3.Connection, bucket: str, key: str) -> None:
    """Make the newest older version the object of a key that has none, unless it is a marker."""
    if find_object(connection, bucket, key) is not None:
        return
    newest = connection.execute(
        "SELECT sequence, file FROM older_versions WHERE bucket=? AND key=? "
        "ORDER BY sequence DESC LIMIT 1",
        (bucket, key),
    ).fetchone()
    if newest is None or newest["file"] is None:
        return
    connection.execute(
        f"INSERT INTO objects ({COLUMNS}) SELECT {COLUMNS} FROM older_versions WHERE sequence=?",
        (newest["sequence"],),
    )
    connection.execute("DELETE FROM older_versions WHERE sequence=?", (newest["sequence"],))

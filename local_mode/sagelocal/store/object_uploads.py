"""Multipart uploads: parts lie as files of their own until completion joins them to one object."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sagelocal.store.database import Database
from sagelocal.store.object_changes import NewObject, publish
from sagelocal.store.object_files import Incoming, ObjectFiles
from sagelocal.store.object_rows import (
    Check,
    Description,
    NoSuchUpload,
    ObjectInfo,
    ObjectPart,
    adopt_file,
    delete_discarded_files,
    discard_file,
    require_bucket,
)


@dataclass(frozen=True)
class Upload:
    """One unfinished multipart upload; `description` is what its object will carry.

    `initiated_at` is seconds since 1970; `checksum_algorithm` is the one that its parts must have.
    """

    id: str
    bucket: str
    key: str
    initiated_at: float
    checksum_algorithm: str | None
    description: Description


@dataclass(frozen=True)
class UploadPart:
    """One part that arrived. `size` in bytes, `etag` without quotes, `file` is the store's."""

    number: int
    file: int
    size: int
    etag: str
    modified_at: float
    checksums: Mapping[str, str]


class Uploads:
    """The multipart uploads of every bucket; `ObjectStore.uploads`."""

    def __init__(self, database: Database, files: ObjectFiles) -> None:
        self._database = database
        self._files = files

    def create(
        self, bucket: str, key: str, description: Description, checksum_algorithm: str | None
    ) -> Upload:
        """Raises NoSuchBucket."""
        upload = Upload(
            secrets.token_urlsafe(48), bucket, key, time.time(), checksum_algorithm, description
        )
        with self._database.write() as connection:
            require_bucket(connection, bucket)
            connection.execute(
                "INSERT INTO uploads VALUES (?,?,?,?,?,?)",
                (
                    upload.id,
                    bucket,
                    key,
                    upload.initiated_at,
                    checksum_algorithm,
                    description.to_json(),
                ),
            )
        return upload

    def get(self, bucket: str, key: str, upload_id: str) -> Upload:
        """Raises NoSuchUpload."""
        row = self._database.read_one(
            "SELECT * FROM uploads WHERE id=? AND bucket=? AND key=?", (upload_id, bucket, key)
        )
        if row is None:
            raise NoSuchUpload(bucket, key, upload_id)
        return _upload(row)

    def list(self, bucket: str, prefix: str = "") -> Sequence[Upload]:
        """Every unfinished upload to keys that begin with `prefix`, by key, then oldest first."""
        rows = self._database.read(
            "SELECT * FROM uploads WHERE bucket=? ORDER BY key, initiated_at, id", (bucket,)
        )
        return [_upload(row) for row in rows if row["key"].startswith(prefix)]

    def put_part(
        self, upload: Upload, number: int, incoming: Incoming, checksums: Mapping[str, str]
    ) -> UploadPart:
        """Make `incoming` the part of that number, replacing one there. Raises NoSuchUpload."""
        incoming.close()
        with self._database.write() as connection:
            _require_upload(connection, upload)
            for row in connection.execute(
                "SELECT file FROM upload_parts WHERE upload=? AND number=?", (upload.id, number)
            ).fetchall():
                discard_file(connection, row["file"])
            part = UploadPart(
                number=number,
                file=adopt_file(connection, self._files, incoming.path),
                size=incoming.size,
                etag=incoming.md5,
                modified_at=time.time(),
                checksums=checksums,
            )
            connection.execute(
                "INSERT OR REPLACE INTO upload_parts VALUES (?,?,?,?,?,?,?)",
                (
                    upload.id,
                    number,
                    part.file,
                    part.size,
                    part.etag,
                    part.modified_at,
                    json.dumps(checksums),
                ),
            )
        delete_discarded_files(self._database, self._files)
        return part

    def parts(self, upload: Upload) -> Sequence[UploadPart]:
        """The parts that are there, by number."""
        rows = self._database.read(
            "SELECT * FROM upload_parts WHERE upload=? ORDER BY number", (upload.id,)
        )
        return [_part(row) for row in rows]

    def complete(
        self,
        upload: Upload,
        parts: Sequence[UploadPart],
        *,
        etag: str,
        description: Description,
        check: Check | None = None,
    ) -> ObjectInfo:
        """Join these parts to the object and drop the rest.

        Raises NoSuchUpload, also when a part was replaced meanwhile or another call completed the
        upload first, NoSuchBucket, and whatever `check` raises.
        """
        with self._files.incoming() as joined:
            for part in parts:
                try:
                    file = self._files.path(part.file).open("rb")
                except FileNotFoundError as error:
                    raise NoSuchUpload(upload.bucket, upload.key, upload.id) from error
                with file:
                    joined.append_file(file, part.size)
            joined.close()
            new = NewObject(
                upload.bucket,
                upload.key,
                joined.path,
                joined.size,
                etag,
                description,
                [ObjectPart(part.number, part.size, part.checksums) for part in parts],
                upload.id,
            )
            with self._database.write() as connection:
                _require_upload(connection, upload)
                info = publish(connection, self._files, new, check)
                _drop(connection, upload)
        delete_discarded_files(self._database, self._files)
        return info

    def abort(self, upload: Upload) -> None:
        """Drop the upload and its parts. Raises NoSuchUpload."""
        with self._database.write() as connection:
            _require_upload(connection, upload)
            _drop(connection, upload)
        delete_discarded_files(self._database, self._files)


def drop_uploads(connection: sqlite3.Connection, bucket: str) -> None:
    """Drop every unfinished upload of a bucket, inside the caller's transaction."""
    rows = connection.execute("SELECT * FROM uploads WHERE bucket=?", (bucket,)).fetchall()
    for row in rows:
        _drop(connection, _upload(row))


def _require_upload(connection: sqlite3.Connection, upload: Upload) -> None:
    row = connection.execute("SELECT 1 FROM uploads WHERE id=?", (upload.id,)).fetchone()
    if row is None:
        raise NoSuchUpload(upload.bucket, upload.key, upload.id)


def _drop(connection: sqlite3.Connection, upload: Upload) -> None:
    connection.execute(
        "INSERT OR IGNORE INTO discarded_files SELECT file FROM upload_parts WHERE upload=?",
        (upload.id,),
    )
    connection.execute("DELETE FROM upload_parts WHERE upload=?", (upload.id,))
    connection.execute("DELETE FROM uploads WHERE id=?", (upload.id,))


def _upload(row: sqlite3.Row) -> Upload:
    return Upload(
        id=row["id"],
        bucket=row["bucket"],
        key=row["key"],
        initiated_at=row["initiated_at"],
        checksum_algorithm=row["checksum_algorithm"],
        description=Description.from_json(row["description"]),
    )


def _part(row: sqlite3.Row) -> UploadPart:
    return UploadPart(
        number=row["number"],
        file=row["file"],
        size=row["size"],
        etag=row["etag"],
        modified_at=row["modified_at"],
        checksums=json.loads(row["checksums"]),
    )

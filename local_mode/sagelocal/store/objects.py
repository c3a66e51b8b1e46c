"""S3's state: buckets and objects. Rows say what there is, plain files hold the bytes.

A write fills a new file, and one transaction makes it the object: whoever reads meanwhile gets the
old object whole or the new one whole, and `kill -9` leaves one of the two. Like the database, files
are not synced to the platter at each write: only a power cut can lose the last few.

    object_rows       what a row means
    object_changes    what writers do to rows; versions that are set aside
    object_files      the bytes
    object_listing    pages, prefixes and delimiters
    version_listing   the same for all versions
    object_uploads    multipart uploads
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from sagelocal.store import object_changes
from sagelocal.store.database import Database
from sagelocal.store.object_changes import NewObject, publish
from sagelocal.store.object_files import Incoming, ObjectFiles, clone, link, md5_of, move
from sagelocal.store.object_listing import Listing, Selection, list_objects
from sagelocal.store.object_rows import (
    DEFAULT_CONTENT_TYPE,
    ONE_VERSION,
    Bucket,
    BucketExists,
    BucketNotEmpty,
    Check,
    ChecksumType,
    DeleteMarker,
    Description,
    NoSuchBucket,
    NoSuchKey,
    NoSuchUpload,
    NoSuchVersion,
    ObjectInfo,
    ObjectPart,
    ObjectStoreError,
    Versioning,
    delete_discarded_files,
    object_info,
    object_or_marker,
    require_bucket,
)
from sagelocal.store.object_uploads import Upload, UploadPart, Uploads, drop_uploads
from sagelocal.store.version_ids import NULL_VERSION, is_version_id
from sagelocal.store.version_listing import ListedVersion, VersionListing, list_versions

__all__ = [
    "DEFAULT_CONTENT_TYPE",
    "NULL_VERSION",
    "Bucket",
    "BucketExists",
    "BucketNotEmpty",
    "Check",
    "ChecksumType",
    "DeleteMarker",
    "Description",
    "Incoming",
    "ListedVersion",
    "Listing",
    "NoSuchBucket",
    "NoSuchKey",
    "NoSuchUpload",
    "NoSuchVersion",
    "ObjectInfo",
    "ObjectPart",
    "ObjectStore",
    "ObjectStoreError",
    "Upload",
    "UploadPart",
    "Uploads",
    "VersionListing",
    "Versioning",
    "is_version_id",
]


class ObjectStore:
    """Buckets and objects, durable below `root`. Safe to use from any number of threads."""

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._files = ObjectFiles(root)
        self.uploads = Uploads(database, self._files)
        delete_discarded_files(self._database, self._files)

    # Buckets

    def create_bucket(self, name: str, region: str) -> Bucket:
        """Raises BucketExists."""
        bucket = Bucket(name, region, time.time())
        with self._database.write() as connection:
            if connection.execute("SELECT 1 FROM buckets WHERE name=?", (name,)).fetchone():
                raise BucketExists(name)
            connection.execute(
                "INSERT INTO buckets (name,region,created_at) VALUES (?,?,?)",
                (name, region, bucket.created_at),
            )
        return bucket

    def set_versioning(self, name: str, versioning: Versioning) -> None:
        """Keep versions of what is replaced or deleted from now on, or no more of them.

        Those that there are stay. Raises NoSuchBucket.
        """
        with self._database.write() as connection:
            require_bucket(connection, name)
            connection.execute("UPDATE buckets SET versioning=? WHERE name=?", (versioning, name))

    def delete_bucket(self, name: str) -> None:
        """With its unfinished uploads. Raises NoSuchBucket, BucketNotEmpty."""
        with self._database.write() as connection:
            require_bucket(connection, name)
            for table in ("objects", "older_versions"):
                row = connection.execute(
                    f"SELECT versioning FROM {table} JOIN buckets ON name=bucket WHERE bucket=?",
                    (name,),
                ).fetchone()
                if row is not None:
                    raise BucketNotEmpty(name, versioned=row["versioning"] is not None)
            drop_uploads(connection, name)
            connection.execute("DELETE FROM buckets WHERE name=?", (name,))
        delete_discarded_files(self._database, self._files)

    def buckets(self) -> Sequence[Bucket]:
        """Every bucket, by name."""
        rows = self._database.read("SELECT * FROM buckets ORDER BY name")
        return [_bucket(row) for row in rows]

    def bucket(self, name: str) -> Bucket:
        """Raises NoSuchBucket."""
        row = self._database.read_one("SELECT * FROM buckets WHERE name=?", (name,))
        if row is None:
            raise NoSuchBucket(name)
        return _bucket(row)

    def has_bucket(self, name: str) -> bool:
        return self._database.read_one("SELECT 1 FROM buckets WHERE name=?", (name,)) is not None

    def bucket_document(self, bucket: str, kind: str) -> str | None:
        """A document that was put with the bucket, or None. Raises NoSuchBucket."""
        self.bucket(bucket)
        row = self._database.read_one(
            "SELECT document FROM bucket_documents WHERE bucket=? AND kind=?", (bucket, kind)
        )
        return str(row["document"]) if row else None

    def put_bucket_document(self, bucket: str, kind: str, document: str) -> None:
        """Keep a document with the bucket, in place of the one of its kind. Raises NoSuchBucket."""
        with self._database.write() as connection:
            require_bucket(connection, bucket)
            connection.execute(
                "INSERT OR REPLACE INTO bucket_documents VALUES (?,?,?)", (bucket, kind, document)
            )

    def delete_bucket_document(self, bucket: str, kind: str) -> None:
        """Raises NoSuchBucket; a document that is not there is no error."""
        with self._database.write() as connection:
            require_bucket(connection, bucket)
            connection.execute(
                "DELETE FROM bucket_documents WHERE bucket=? AND kind=?", (bucket, kind)
            )

    # Reading objects

    def head(self, bucket: str, key: str) -> ObjectInfo | None:
        """The object, or None. Raises NoSuchBucket."""
        row = self._database.read_one(
            "SELECT * FROM objects WHERE bucket=? AND key=?", (bucket, key)
        )
        if row is None:
            self.bucket(bucket)
            return None
        return object_info(row)

    def get(self, bucket: str, key: str) -> ObjectInfo:
        """The object. Raises NoSuchBucket, NoSuchKey."""
        info = self.head(bucket, key)
        if info is None:
            raise NoSuchKey(bucket, key, self._newest_marker(bucket, key))
        return info

    def version(self, bucket: str, key: str, version: str) -> ObjectInfo | DeleteMarker:
        """One version, the newest or an older one. Raises NoSuchBucket, NoSuchVersion."""
        row = self._database.read_one(ONE_VERSION, (bucket, key, version))
        if row is None:
            self.bucket(bucket)
            raise NoSuchVersion(bucket, key, version)
        return object_or_marker(row)

    def _newest_marker(self, bucket: str, key: str) -> DeleteMarker | None:
        """The newest version of a key that has no object."""
        row = self._database.read_one(
            "SELECT * FROM older_versions WHERE bucket=? AND key=? ORDER BY sequence DESC LIMIT 1",
            (bucket, key),
        )
        found = None if row is None else object_or_marker(row)
        return found if isinstance(found, DeleteMarker) else None

    def open(self, info: ObjectInfo) -> BinaryIO:
        """Its bytes; the caller closes. Raises NoSuchKey if it was replaced or deleted since.

        Once open, it can be read to its end whatever happens to the object.
        """
        try:
            return self.path(info).open("rb")
        except FileNotFoundError as error:
            raise NoSuchKey(info.bucket, info.key) from error

    def read(self, bucket: str, key: str) -> tuple[ObjectInfo, BinaryIO]:
        """The object as it is now, and its bytes. Raises NoSuchBucket, NoSuchKey."""
        info = self.get(bucket, key)
        while True:
            try:
                return info, self.open(info)
            except NoSuchKey:
                # Replaced between the two steps: the row has the new file, or is gone.
                newer = self.get(bucket, key)
                if newer.file == info.file:
                    raise
                info = newer

    def path(self, info: ObjectInfo) -> Path:
        """Where its bytes lie, for reading only; gone when the object is replaced or deleted."""
        return self._files.path(info.file)

    def parts(self, info: ObjectInfo) -> Sequence[ObjectPart]:
        """The parts it was uploaded in, by number; empty unless by multipart upload."""
        rows = self._database.read(
            "SELECT * FROM object_parts WHERE file=? ORDER BY number", (info.file,)
        )
        return [ObjectPart(r["number"], r["size"], json.loads(r["checksums"])) for r in rows]

    def stage(self, info: ObjectInfo, target: Path) -> None:
        """Put the object's bytes at `target`, a new file that its owner may overwrite.

        Shares the disk blocks where the file system can, else copies. Raises NoSuchKey if the
        object was replaced or deleted since, FileExistsError when `target` is there.
        """
        self._lay_down(clone, info, target)

    def link(self, info: ObjectInfo, target: Path) -> None:
        """Put the object's bytes at `target` without copying; nobody may ever write to that file.

        Whoever hands it on makes sure of that: a read-only mount, or the lower layer of an overlay.
        What is there stays there when the object is replaced or deleted. Raises as `stage` does.
        """
        self._lay_down(link, info, target)

    def _lay_down(self, way: Callable[[Path, Path], None], info: ObjectInfo, target: Path) -> None:
        try:
            way(self.path(info), target)
        except FileNotFoundError as error:
            if target.parent.is_dir():
                raise NoSuchKey(info.bucket, info.key) from error
            raise

    def list(
        self,
        bucket: str,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        start_after: str | None = None,
        limit: int | None = None,
    ) -> Listing:
        """The objects whose key begins with `prefix`, in the order of their keys' UTF-8 bytes.

        With a delimiter, keys that have it behind the prefix are rolled up to that point into
        `prefixes`. `start_after` leaves out everything up to and including that key, or that
        prefix and all below it. `limit` counts objects and prefixes. Raises NoSuchBucket.
        """
        self.bucket(bucket)
        return list_objects(
            self._database, Selection(bucket, prefix, delimiter, start_after), limit
        )

    def list_versions(
        self,
        bucket: str,
        prefix: str = "",
        *,
        delimiter: str | None = None,
        after_key: str | None = None,
        after_version: str | None = None,
        limit: int | None = None,
    ) -> VersionListing:
        """Every version and delete marker, by key and then newest first; else as `list`.

        With `after_version` the listing goes on within `after_key`, behind that version, or with
        the key's newest if that one is gone. Raises NoSuchBucket.
        """
        self.bucket(bucket)
        selection = Selection(bucket, prefix, delimiter, after_key)
        return list_versions(self._database, selection, after_version, limit)

    # Writing objects

    def incoming(self) -> Incoming:
        """An empty file to write an object's bytes to, for `put`. Use it in a `with` block."""
        return self._files.incoming()

    def put(
        self,
        bucket: str,
        key: str,
        incoming: Incoming,
        *,
        etag: str | None = None,
        description: Description | None = None,
        check: Check | None = None,
    ) -> ObjectInfo:
        """Make `incoming` the object; its ETag is the MD5 of what was written unless given.

        Raises NoSuchBucket, and whatever `check` raises.
        """
        incoming.close()
        return self._publish(
            NewObject(
                bucket,
                key,
                incoming.path,
                incoming.size,
                etag or incoming.md5,
                description or Description(),
            ),
            check,
        )

    def put_stream(
        self,
        bucket: str,
        key: str,
        stream: BinaryIO,
        *,
        content_type: str = DEFAULT_CONTENT_TYPE,
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """Make everything left in `stream` the object. Raises NoSuchBucket."""
        with self.incoming() as incoming:
            incoming.write_all(stream)
            return self.put(
                bucket,
                key,
                incoming,
                description=Description(content_type, metadata or {}),
            )

    def put_file(
        self,
        bucket: str,
        key: str,
        path: Path,
        *,
        content_type: str = DEFAULT_CONTENT_TYPE,
        metadata: Mapping[str, str] | None = None,
        consume: bool = False,
    ) -> ObjectInfo:
        """Make a file's bytes the object, sharing disk blocks where the file system can.

        `consume` takes the file itself (a rename where possible): it is gone afterwards, and nobody
        may have it open for writing. Raises NoSuchBucket.
        """
        self.bucket(bucket)
        target = self._files.new_path()
        try:
            (move if consume else clone)(path, target)
            target.chmod(0o444)
            return self._publish(
                NewObject(
                    bucket,
                    key,
                    target,
                    target.stat().st_size,
                    md5_of(target),
                    Description(content_type, metadata or {}),
                )
            )
        finally:
            target.unlink(missing_ok=True)

    def describe(self, info: ObjectInfo, description: Description) -> None:
        """Replace what a version carries besides its bytes (its tags).

        Raises NoSuchKey if it was replaced or deleted since.
        """
        text = description.to_json()
        with self._database.write() as connection:
            changed = sum(
                connection.execute(
                    f"UPDATE {table} SET description=? WHERE file=?", (text, info.file)
                ).rowcount
                for table in ("objects", "older_versions")
            )
        if not changed:
            raise NoSuchKey(info.bucket, info.key)

    def delete(self, bucket: str, key: str, *, check: Check | None = None) -> DeleteMarker | None:
        """Delete it, if it is there; the marker that says so where the bucket keeps versions.

        Raises NoSuchBucket, and whatever `check` raises.
        """
        with self._database.write() as connection:
            marker = object_changes.delete(connection, bucket, key, check)
        delete_discarded_files(self._database, self._files)
        return marker

    def delete_version(
        self, bucket: str, key: str, version: str, *, check: Check | None = None
    ) -> ObjectInfo | DeleteMarker:
        """Delete one version for good; what it was. The newest of the others becomes the object.

        Raises NoSuchBucket, NoSuchVersion, and whatever `check` raises.
        """
        with self._database.write() as connection:
            found = object_changes.delete_version(connection, bucket, key, version, check)
        delete_discarded_files(self._database, self._files)
        return found

    def _publish(self, new: NewObject, check: Check | None = None) -> ObjectInfo:
        with self._database.write() as connection:
            info = publish(connection, self._files, new, check)
        delete_discarded_files(self._database, self._files)
        return info


def _bucket(row: sqlite3.Row) -> Bucket:
    return Bucket(row["name"], row["region"], row["created_at"], row["versioning"])

"""Listing every version of a bucket's objects: by key, and of one key the newest first.

The newest version of a key is in `objects`, or is a delete marker in `older_versions`, where all
the others are; the two are read as one list.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sagelocal.store.database import Database
from sagelocal.store.object_listing import FIRST_BATCH, LARGEST_BATCH, Selection, successor
from sagelocal.store.object_rows import (
    COLUMNS,
    NEWEST,
    ONE_VERSION,
    DeleteMarker,
    ObjectInfo,
    object_or_marker,
)

# Less than every sequence number: behind all versions of a key.
_BEHIND_ALL = -1


@dataclass(frozen=True)
class ListedVersion:
    """A version, and whether it is the newest of its key."""

    version: ObjectInfo | DeleteMarker
    is_latest: bool


@dataclass(frozen=True)
class VersionListing:
    """A page of versions and, with a delimiter, the prefixes that stand for many.

    `last_key` and `last_version` are what the next page is to begin behind when `truncated`; the
    latter is None where the last entry is a prefix.
    """

    versions: Sequence[ListedVersion]
    prefixes: Sequence[str]
    truncated: bool
    last_key: str | None
    last_version: str | None


@dataclass(frozen=True)
class _Place:
    """Where a listing goes on: with the versions of `key` before `sequence`, and later keys."""

    key: str
    sequence: int = NEWEST + 1


def list_versions(
    database: Database, selection: Selection, after_version: str | None, limit: int | None
) -> VersionListing:
    """Up to `limit` versions and common prefixes; see `ObjectStore.list_versions`."""
    versions: list[ListedVersion] = []
    prefixes: list[str] = []
    last_key: str | None = None
    last_version: str | None = None
    for entry in _entries(database, selection, _first(database, selection, after_version)):
        if limit is not None and len(versions) + len(prefixes) >= limit:
            return VersionListing(versions, prefixes, True, last_key, last_version)
        if isinstance(entry, str):
            prefixes.append(entry)
            last_key, last_version = entry, None
        else:
            versions.append(entry)
            last_key, last_version = entry.version.key, entry.version.version
    return VersionListing(versions, prefixes, False, last_key, last_version)


def _first(database: Database, selection: Selection, after_version: str | None) -> _Place | None:
    key = selection.start_after
    if key is None or key < selection.prefix:
        return _Place(selection.prefix)
    rolled = selection.common_prefix(key)
    if rolled is not None:
        return _behind(rolled)
    if after_version is None:
        return _Place(key, _BEHIND_ALL)
    row = database.read_one(ONE_VERSION, (selection.bucket, key, after_version))
    return _Place(key, row["sequence"]) if row else _Place(key)


def _behind(prefix: str) -> _Place | None:
    key = successor(prefix)
    return None if key is None else _Place(key)


def _entries(
    database: Database, selection: Selection, place: _Place | None
) -> Iterator[ListedVersion | str]:
    """Versions and common prefixes, in order."""
    beyond = successor(selection.prefix)
    # The newest of this key is before the place, and not to be looked for behind it.
    begun = place.key if place and place.sequence <= NEWEST else None
    batch = FIRST_BATCH if selection.delimiter else LARGEST_BATCH
    while place is not None:
        rows = _rows(database, selection.bucket, place, beyond, batch)
        rolled = None
        for row in rows:
            rolled = selection.common_prefix(row["key"])
            if rolled is not None:
                yield rolled
                break
            yield ListedVersion(object_or_marker(row), row["key"] != begun)
            begun = row["key"]
        if rolled is not None:
            place, batch = _behind(rolled), FIRST_BATCH
        elif len(rows) == batch:
            place = _Place(rows[-1]["key"], rows[-1]["sequence"])
            batch = min(batch * 2, LARGEST_BATCH)
        else:
            place = None


def _rows(
    database: Database, bucket: str, place: _Place, beyond: str | None, limit: int
) -> Sequence[sqlite3.Row]:
    values: list[str | int] = [bucket, place.key, place.key, place.sequence]
    conditions = "bucket=? AND key>=? AND (key>? OR sequence<?)"
    if beyond is not None:
        conditions += " AND key<?"
        values.append(beyond)
    # Each side in its index's order and no longer than the page, so that no bucket is sorted whole.
    newest = f"SELECT {COLUMNS}, {NEWEST} AS sequence FROM objects"
    older = f"SELECT {COLUMNS}, sequence FROM older_versions"
    halves = (
        f"SELECT * FROM ({select} WHERE {conditions.replace('sequence', sequence)} "
        f"ORDER BY {order} LIMIT ?)"
        for select, sequence, order in (
            (newest, str(NEWEST), "key"),
            (older, "sequence", "key, sequence DESC"),
        )
    )
    return database.read(
        f"{' UNION ALL '.join(halves)} ORDER BY key, sequence DESC LIMIT ?",
        (*values, limit, *values, limit, limit),
    )

"""Listing a bucket in the order of keys, a page at a time, without reading what a page leaves out.

Common prefixes are found by seeking: after the first key below a prefix, the next look-up starts
behind everything that the prefix holds.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sagelocal.store.database import Database
from sagelocal.store.object_rows import ObjectInfo, object_info

# How many rows a listing reads at first after each seek, and at most; it doubles in between.
FIRST_BATCH = 16
LARGEST_BATCH = 1024
# The last code point, and those that UTF-8 has no bytes for.
LAST_CHARACTER = 0x10FFFF
FIRST_SURROGATE, LAST_SURROGATE = 0xD800, 0xDFFF


@dataclass(frozen=True)
class Listing:
    """A page of a bucket: objects and, with a delimiter, the prefixes that stand for many.

    Iterates over the objects. `last` is the last entry of either kind: `start_after` of the next
    page when `truncated`.
    """

    objects: Sequence[ObjectInfo]
    prefixes: Sequence[str]
    truncated: bool
    last: str | None

    def __iter__(self) -> Iterator[ObjectInfo]:
        return iter(self.objects)

    def __len__(self) -> int:
        return len(self.objects)


@dataclass(frozen=True)
class Selection:
    """Which keys of a bucket to list, and how; see `ObjectStore.list`."""

    bucket: str
    prefix: str = ""
    delimiter: str | None = None
    start_after: str | None = None

    def common_prefix(self, key: str) -> str | None:
        """What `key` is rolled up to: up to the first delimiter behind the prefix; None if none."""
        if not self.delimiter or not key.startswith(self.prefix):
            return None
        position = key.find(self.delimiter, len(self.prefix))
        return None if position < 0 else key[: position + len(self.delimiter)]


def list_objects(database: Database, selection: Selection, limit: int | None) -> Listing:
    """Up to `limit` objects and common prefixes."""
    objects: list[ObjectInfo] = []
    prefixes: list[str] = []
    last: str | None = None
    for entry in _entries(database, selection):
        if limit is not None and len(objects) + len(prefixes) >= limit:
            return Listing(objects, prefixes, truncated=True, last=last)
        if isinstance(entry, str):
            prefixes.append(entry)
            last = entry
        else:
            objects.append(object_info(entry))
            last = objects[-1].key
    return Listing(objects, prefixes, truncated=False, last=last)


def successor(prefix: str) -> str | None:
    """The least string that is greater than everything that begins with `prefix`; None if none.

    >>> successor("data/")
    'data0'
    """
    for position in range(len(prefix) - 1, -1, -1):
        following = ord(prefix[position]) + 1
        if following == FIRST_SURROGATE:
            following = LAST_SURROGATE + 1
        if following <= LAST_CHARACTER:
            return prefix[:position] + chr(following)
    return None


def _entries(database: Database, selection: Selection) -> Iterator[sqlite3.Row | str]:
    """Rows and common prefixes, in order."""
    beyond = successor(selection.prefix)
    start: str | None
    start, inclusive = _first(selection)
    batch = FIRST_BATCH if selection.delimiter else LARGEST_BATCH
    while start is not None:
        rows = _rows(database, selection.bucket, (start, inclusive), beyond, batch)
        rolled = None
        for row in rows:
            rolled = selection.common_prefix(row["key"])
            yield row if rolled is None else rolled
            if rolled is not None:
                break
        if rolled is not None:
            start, inclusive, batch = successor(rolled), True, FIRST_BATCH
        elif len(rows) == batch:
            start, inclusive, batch = rows[-1]["key"], False, min(batch * 2, LARGEST_BATCH)
        else:
            start = None


def _first(selection: Selection) -> tuple[str | None, bool]:
    """Where a listing starts, and whether a key that equals it belongs to the listing."""
    after = selection.start_after
    if after is None or after < selection.prefix:
        return selection.prefix, True
    rolled = selection.common_prefix(after)
    return (after, False) if rolled is None else (successor(rolled), True)


def _rows(
    database: Database, bucket: str, start: tuple[str, bool], beyond: str | None, limit: int
) -> Sequence[sqlite3.Row]:
    key, inclusive = start
    conditions = "bucket=? AND key" + (">=?" if inclusive else ">?")
    values: list[str | int] = [bucket, key]
    if beyond is not None:
        conditions += " AND key<?"
        values.append(beyond)
    return database.read(
        f"SELECT * FROM objects WHERE {conditions} ORDER BY key LIMIT ?", (*values, limit)
    )

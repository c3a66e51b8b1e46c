"""SageMaker's resources and their tags, of any kind, as rows that lists can filter and sort.

What a resource is beyond name, status and dates is a JSON document whose meaning belongs to the
caller; this module neither reads nor changes it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sagelocal.store.database import Database

SortColumn = Literal["name", "created_at", "modified_at", "status"]
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Resource:
    """One row. Times are seconds since 1970."""

    arn: str
    kind: str
    region: str
    name: str
    status: str | None
    created_at: float
    modified_at: float
    document: Document


@dataclass(frozen=True)
class Query:
    """Which resources a list asks for. `after` is the page token: how many were already given."""

    kind: str
    region: str
    name_contains: str | None = None
    status: str | None = None
    created_after: float | None = None
    created_before: float | None = None
    modified_after: float | None = None
    modified_before: float | None = None
    sort_by: SortColumn = "created_at"
    descending: bool = True
    offset: int = 0
    limit: int = 100


class AlreadyExists(Exception):
    """A resource of that kind, region and name is there."""


class Resources:
    """The table of resources."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, resource: Resource, tags: Mapping[str, str] | None = None) -> None:
        """Insert it with its tags. Raises AlreadyExists."""
        try:
            with self._database.write() as connection:
                connection.execute(
                    "INSERT INTO resources VALUES (?,?,?,?,?,?,?,?)",
                    (
                        resource.arn,
                        resource.kind,
                        resource.region,
                        resource.name,
                        resource.status,
                        resource.created_at,
                        resource.modified_at,
                        json.dumps(resource.document),
                    ),
                )
                self._put_tags(connection, resource.arn, tags or {})
        except sqlite3.IntegrityError as error:
            raise AlreadyExists(resource.name) from error

    def get(self, arn: str) -> Resource | None:
        row = self._database.read_one("SELECT * FROM resources WHERE arn=?", (arn,))
        return _resource(row) if row else None

    def find(self, kind: str, region: str, name: str) -> Resource | None:
        row = self._database.read_one(
            "SELECT * FROM resources WHERE kind=? AND region=? AND name=?", (kind, region, name)
        )
        return _resource(row) if row else None

    def named(self, kind: str, name: str) -> Sequence[Resource]:
        """The resources of a kind and name, one per region that has it."""
        rows = self._database.read("SELECT * FROM resources WHERE kind=? AND name=?", (kind, name))
        return [_resource(row) for row in rows]

    def update(self, arn: str, change: Callable[[Resource], Resource]) -> Resource | None:
        """Read, change and write in one transaction; None if the resource is gone.

        `change` may raise to leave everything as it is. Key columns do not change.
        """
        with self._database.write() as connection:
            row = connection.execute("SELECT * FROM resources WHERE arn=?", (arn,)).fetchone()
            if row is None:
                return None
            new = change(_resource(row))
            connection.execute(
                "UPDATE resources SET status=?, modified_at=?, document=? WHERE arn=?",
                (new.status, new.modified_at, json.dumps(new.document), arn),
            )
            return new

    def delete(self, arn: str) -> bool:
        """Delete it and its tags; whether it was there."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM tags WHERE arn=?", (arn,))
            return connection.execute("DELETE FROM resources WHERE arn=?", (arn,)).rowcount > 0

    def list(self, query: Query) -> Sequence[Resource]:
        """Up to `query.limit` resources that match, in order; ties are broken by name."""
        conditions = ["kind=?", "region=?"]
        values: list[Any] = [query.kind, query.region]
        for condition, value in (
            ("instr(lower(name), lower(?)) > 0", query.name_contains),
            ("status=?", query.status),
            ("created_at > ?", query.created_after),
            ("created_at < ?", query.created_before),
            ("modified_at > ?", query.modified_after),
            ("modified_at < ?", query.modified_before),
        ):
            if value is not None:
                conditions.append(condition)
                values.append(value)
        order = "DESC" if query.descending else "ASC"
        rows = self._database.read(
            f"SELECT * FROM resources WHERE {' AND '.join(conditions)} "
            f"ORDER BY {query.sort_by} {order}, name {order} LIMIT ? OFFSET ?",
            (*values, query.limit, query.offset),
        )
        return [_resource(row) for row in rows]

    def with_status(self, kind: str, statuses: Sequence[str]) -> Sequence[Resource]:
        """Every resource of a kind in one of these statuses, in any region, oldest first."""
        marks = ",".join("?" * len(statuses))
        rows = self._database.read(
            f"SELECT * FROM resources WHERE kind=? AND status IN ({marks}) ORDER BY created_at",
            (kind, *statuses),
        )
        return [_resource(row) for row in rows]

    def tags(self, arn: str) -> dict[str, str]:
        """Its tags by key, in key order; empty for what has none or is not there."""
        rows = self._database.read("SELECT key, value FROM tags WHERE arn=? ORDER BY key", (arn,))
        return {row["key"]: row["value"] for row in rows}

    def add_tags(self, arn: str, tags: Mapping[str, str]) -> None:
        with self._database.write() as connection:
            self._put_tags(connection, arn, tags)

    def delete_tags(self, arn: str, keys: Sequence[str]) -> None:
        with self._database.write() as connection:
            connection.executemany(
                "DELETE FROM tags WHERE arn=? AND key=?", [(arn, key) for key in keys]
            )

    @staticmethod
    def _put_tags(connection: sqlite3.Connection, arn: str, tags: Mapping[str, str]) -> None:
        connection.executemany(
            "INSERT OR REPLACE INTO tags VALUES (?,?,?)",
            [(arn, key, value) for key, value in tags.items()],
        )


def _resource(row: sqlite3.Row) -> Resource:
    return Resource(
        arn=row["arn"],
        kind=row["kind"],
        region=row["region"],
        name=row["name"],
        status=row["status"],
        created_at=row["created_at"],
        modified_at=row["modified_at"],
        document=json.loads(row["document"]),
    )

"""Lists in pages: opaque tokens, and the filters that every List operation of SageMaker has."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from sagelocal.protocol.faults import validation
from sagelocal.services.calls import Params
from sagelocal.store.resources import Query, SortColumn

DEFAULT_PAGE = 100
_SORT_COLUMNS: dict[str, SortColumn] = {
    "Name": "name",
    "CreationTime": "created_at",
    "Status": "status",
    "LastModifiedTime": "modified_at",
}
_PREFIX = b"sagelocal:"
# What SQLite can take as an offset.
_LAST_POSITION = 2**63 - 1

Item = TypeVar("Item")


def token_of(position: int) -> str:
    """A token that stands for a position; its text promises nothing."""
    return base64.urlsafe_b64encode(_PREFIX + str(position).encode()).decode()


def position_of(token: str | None) -> int:
    """The position of a token that `token_of` made; 0 for none. Raises Fault."""
    if token is None:
        return 0
    try:
        prefix, _, number = base64.urlsafe_b64decode(token).partition(b":")
        if prefix + b":" == _PREFIX and 0 <= (position := int(number)) <= _LAST_POSITION:
            return position
    except (binascii.Error, ValueError):
        pass
    raise validation(f"Invalid NextToken {token!r}; give one back as an earlier answer gave it")


def query_of(kind: str, region: str, params: Params) -> Query:
    """The query of a List request of SageMaker, one item longer than the page asked for.

    Newest first unless asked otherwise; that one item more says whether there is another page.
    """
    return Query(
        kind=kind,
        region=region,
        name_contains=params.get("NameContains"),
        status=params.get("StatusEquals"),
        created_after=seconds_of(params.get("CreationTimeAfter")),
        created_before=seconds_of(params.get("CreationTimeBefore")),
        modified_after=seconds_of(params.get("LastModifiedTimeAfter")),
        modified_before=seconds_of(params.get("LastModifiedTimeBefore")),
        sort_by=_SORT_COLUMNS[params.get("SortBy", "CreationTime")],
        descending=params.get("SortOrder", "Descending") == "Descending",
        offset=position_of(params.get("NextToken")),
        limit=int(params.get("MaxResults", DEFAULT_PAGE)) + 1,
    )


def page_of(query: Query, found: Sequence[Item]) -> tuple[Sequence[Item], dict[str, str]]:
    """The items of the page, and `{"NextToken": ...}` if there are more."""
    size = query.limit - 1
    if len(found) <= size:
        return found, {}
    return found[:size], {"NextToken": token_of(query.offset + size)}


def seconds_of(moment: Any) -> float | None:
    """A timestamp as the protocol parsed it, in seconds since 1970."""
    if moment is None:
        return None
    return moment.timestamp() if isinstance(moment, datetime) else float(moment)

"""Pages of ECR's lists: at most `maxResults` entries, and a token for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from sagelocal.protocol.faults import Fault
from sagelocal.services.calls import Params
from sagelocal.services.paging import position_of, token_of

DEFAULT_PAGE = 100

Item = TypeVar("Item")


def page(items: Sequence[Item], params: Params) -> tuple[Sequence[Item], dict[str, Any]]:
    """The page that is asked for, and `{"nextToken": ...}` if there are more. Raises Fault."""
    try:
        start = position_of(params.get("nextToken"))
    except Fault as error:
        raise Fault("InvalidParameterException", error.message) from error
    end = start + int(params.get("maxResults", DEFAULT_PAGE))
    return items[start:end], ({"nextToken": token_of(end)} if end < len(items) else {})

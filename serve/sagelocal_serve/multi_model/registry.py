"""Which models there are, in pages, and which of them goes first when memory is short.

Pages are cut by name: a token is the last name of the page before it, so that no model is missed
or told twice when others come and go between two pages.
"""

from __future__ import annotations

import base64
import binascii
import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sagelocal_serve.errors import BadRequest

LONGEST_PAGE = 100


@dataclass(frozen=True, slots=True)
class Model:
    """A model as it was asked for: `url` is its folder, `target` what the client calls it."""

    name: str
    url: str
    target: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Some names in order; `next_token` asks for those behind them, None if there are none."""

    names: tuple[str, ...]
    next_token: str | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """When a model was last called (seconds, any clock), and how many calls it is on."""

    name: str
    last_used: float
    in_flight: int = 0


def page(names: Iterable[str], token: str | None = None, limit: int | None = None) -> Page:
    """The page that a token asks for; raises BadRequest for a token that is none.

    A limit that is not from 1 to 100 means 100, as Multi Model Server has it.
    """
    ordered = sorted(names)
    size = limit if limit is not None and 1 <= limit <= LONGEST_PAGE else LONGEST_PAGE
    start = bisect.bisect_right(ordered, _name_in(token)) if token else 0
    chosen = tuple(ordered[start : start + size])
    more = start + size < len(ordered)
    return Page(chosen, _token(chosen[-1]) if more else None)


def first_to_go(uses: Sequence[Use]) -> str | None:
    """The model that was not used for the longest time; none that is on a call. None if all are."""
    idle = [use for use in uses if not use.in_flight]
    return min(idle, key=lambda use: (use.last_used, use.name)).name if idle else None


def _token(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode("utf-8", "surrogatepass")).decode("ascii")


def _name_in(token: str) -> str:
    try:
        raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        return raw.decode("utf-8", "surrogatepass")
    except (UnicodeError, binascii.Error) as error:
        raise BadRequest(f"next_page_token {token[:100]!r} is none that was given out.") from error

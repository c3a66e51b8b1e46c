"""Pages of names, and who goes first when memory is short."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal_serve import BadRequest
from sagelocal_serve.multi_model.registry import LONGEST_PAGE, Use, first_to_go, page

NAMES = st.sets(st.text(st.characters(), min_size=1, max_size=8), max_size=30)


@given(NAMES, st.integers(1, 7))
def test_pages_join_to_the_whole_in_order(names: set[str], limit: int) -> None:
    found: list[str] = []
    token: str | None = None
    while True:
        part = page(names, token, limit)
        assert len(part.names) <= limit
        found += part.names
        token = part.next_token
        if token is None:
            break
    assert sorted(names) == found


@given(NAMES, NAMES, st.integers(1, 7))
def test_what_comes_and_goes_between_pages_moves_nothing_else(
    names: set[str], others: set[str], limit: int
) -> None:
    staying = names - others
    first = page(names, None, limit)
    rest: list[str] = []
    token = first.next_token
    while token is not None:
        part = page(staying, token, limit)
        rest += part.names
        token = part.next_token
    assert sorted(staying) == sorted(staying.intersection(first.names)) + rest


@pytest.mark.parametrize("limit", [None, 0, -3, LONGEST_PAGE + 1])
def test_a_limit_out_of_range_means_a_hundred(limit: int | None) -> None:
    names = [f"model-{n:03}" for n in range(150)]
    assert page(names, None, limit).names == tuple(names[:100])


@pytest.mark.parametrize("token", ["%%%", "b", "gA==", "\u00e9"])
def test_a_token_that_was_not_given_out_is_refused(token: str) -> None:
    with pytest.raises(BadRequest, match="next_page_token"):
        page(["a"], token)


def test_the_model_not_used_for_longest_goes_first() -> None:
    uses = [Use("new", 3.0), Use("old", 1.0), Use("busy", 0.5, in_flight=1)]
    assert first_to_go(uses) == "old"


def test_no_model_goes_while_all_are_busy() -> None:
    assert first_to_go([Use("a", 1.0, 1), Use("b", 2.0, 3)]) is None

"""Content-Type and Accept headers: what is read, what is chosen, what is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal_serve.media_type import (
    CSV,
    JSON,
    JSON_LINES,
    NPY,
    Accept,
    MediaType,
    MediaTypeError,
)

TOKENS = st.text("abcdefghijklmnopqrstuvwxyz0123456789!#$%&'+.^_`|~-", min_size=1, max_size=12)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
MEDIA_TYPES = st.builds(
    MediaType,
    TOKENS,
    TOKENS,
    st.lists(st.tuples(TOKENS.filter(lambda name: name != "q"), VALUES), max_size=3).map(tuple),
)


@given(MEDIA_TYPES)
def test_media_type_survives_writing_and_reading(media_type: MediaType) -> None:
    assert MediaType.parse(str(media_type)) == media_type


@given(st.lists(MEDIA_TYPES, min_size=1, max_size=4), st.integers(0, 1000))
def test_accept_list_survives_writing_and_reading(types: list[MediaType], mille: int) -> None:
    text = ", ".join(f"{t}; q={mille / 1000:.3f}" for t in types)
    accept = Accept.parse(text)
    assert [r.media_type for r in accept.ranges] == types
    assert Accept.parse(str(accept)) == accept


@given(st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=60))
def test_any_header_is_read_or_refused(text: str) -> None:
    for parse in (MediaType.parse, Accept.parse):
        with contextlib.suppress(MediaTypeError):
            parse(text)


@pytest.mark.parametrize(
    ("text", "essence", "parameters"),
    [
        ("text/csv", "text/csv", {}),
        ("Text/CSV", "text/csv", {}),
        ("text/csv; charset=utf-8", "text/csv", {"charset": "utf-8"}),
        ("text/csv;label_size=0", "text/csv", {"label_size": "0"}),
        ('text/csv; a="x; y" ;b=2', "text/csv", {"a": "x; y", "b": "2"}),
        (r'text/csv; a="say \"x\""', "text/csv", {"a": 'say "x"'}),
        ("text/csv;", "text/csv", {}),
        (" text/csv ", "text/csv", {}),
    ],
)
def test_parameters_are_kept_apart(text: str, essence: str, parameters: dict[str, str]) -> None:
    media_type = MediaType.parse(text)
    assert media_type.essence == essence
    assert dict(media_type.parameters) == parameters


@pytest.mark.parametrize(
    ("text", "essence", "canonical"),
    [
        ("csv", "csv", CSV),
        ("LIBSVM; charset=utf-8", "libsvm", "text/libsvm"),
        ("anything", "anything", "anything"),
    ],
)
def test_a_word_may_stand_for_a_media_type(text: str, essence: str, canonical: str) -> None:
    found = MediaType.parse(text)
    assert (found.essence, found.canonical) == (essence, canonical)
    assert MediaType.parse(str(found)) == found
    assert str(Accept.parse(text)) == str(found)


@pytest.mark.parametrize("text", ["", "text/", "/csv", "text/csv/x", "a b/c", 'a/b; c="d'])
def test_what_is_no_media_type_is_refused(text: str) -> None:
    with pytest.raises(MediaTypeError, match="media type"):
        MediaType.parse(text)


@pytest.mark.parametrize(
    ("spelling", "canonical"),
    [
        ("application/jsonlines", JSON_LINES),
        ("application/x-jsonlines", JSON_LINES),
        ("application/json-lines", JSON_LINES),
        ("application/x-ndjson; charset=utf-8", JSON_LINES),
        ("application/json", JSON),
        ("application/x-npy", NPY),
        ("image/png", "image/png"),
    ],
)
def test_spellings_of_one_format_are_one_format(spelling: str, canonical: str) -> None:
    assert MediaType.parse(spelling).canonical == canonical


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("text/*", CSV),
        ("text/csv", CSV),
        ("text/csv, application/json", CSV),
        ("application/json;q=0.5, text/csv", CSV),
        ("application/json;q=0.2, */*;q=0.9", CSV),
        ("*/*;q=0.1, application/json;q=0", CSV),
        ("image/png, application/x-jsonlines", "application/x-jsonlines"),
        ("text/csv; charset=utf-8", "text/csv; charset=utf-8"),
        ("image/png, text/csv;q=0.001", CSV),
    ],
)
def test_best_liked_offer_is_chosen_in_the_callers_spelling(
    accept: str | None, chosen: str
) -> None:
    assert str(Accept.parse(accept).choose([JSON, CSV, JSON_LINES])) == chosen


@pytest.mark.parametrize("accept", ["image/png", "image/*", "text/csv;q=0", "*/*;q=0"])
def test_nothing_is_chosen_when_nothing_will_do(accept: str) -> None:
    assert Accept.parse(accept).choose([JSON, CSV]) is None


@pytest.mark.parametrize("accept", ["text/csv;q=2", "text/csv;q=x", "text/csv;q=-1", "csv/"])
def test_unreadable_accept_list_is_refused(accept: str) -> None:
    with pytest.raises(MediaTypeError):
        Accept.parse(accept)


@pytest.mark.parametrize(
    ("accept", "anything"),
    [("", True), ("*/*", True), ("*/*;q=0.5", True), ("text/*", False), ("*/*, text/csv", False)],
)
def test_only_wildcards_leave_the_choice_to_the_server(accept: str, anything: bool) -> None:
    assert Accept.parse(accept).is_anything is anything

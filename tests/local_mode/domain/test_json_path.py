"""The part of JSONPath that batch transform's filters are written in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal.domain.json_path import JsonPath, NoMatch

RECORD = {"id": 7, "features": [1, 2, 3], "of": {"a b": "x", "c": [{"d": 4}, {"d": 5}]}}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", RECORD),
        ("$.id", 7),
        ("$['id']", 7),
        ('$["features"]', [1, 2, 3]),
        ("$['id','features']", {"id": 7, "features": [1, 2, 3]}),
        ("$.features[0]", 1),
        ("$.features[-1]", 3),
        ("$.features[0,-1]", [1, 3]),
        ("$.features[1:]", [2, 3]),
        ("$.features[:-1]", [1, 2]),
        ("$.features[*]", [1, 2, 3]),
        ("$.of['a b']", "x"),
        ("$.of.c[*].d", [4, 5]),
        ("$.of.c[1:].d", [5]),
        ("$.of.c[1].d", 5),
        ("$.of.*", ["x", [{"d": 4}, {"d": 5}]]),
    ],
)
def test_a_path_selects(path: str, found: Any) -> None:
    assert JsonPath.parse(path).select(RECORD) == found


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("$.nothing", r"there is no \.nothing in"),
        ("$['id','nothing']", "there is no"),
        ("$.features[3]", r"there is no \[3\] in \[1, 2, 3\]"),
        ("$.id[0]", r"there is no \[0\] in 7"),
        ("$.features.id", r"there is no \.id in"),
        ("$.id.*", r"there is no \.\* in 7"),
    ],
)
def test_what_is_not_there_is_named(path: str, words: str) -> None:
    with pytest.raises(NoMatch, match=words):
        JsonPath.parse(path).select(RECORD)


@pytest.mark.parametrize("path", ["", "features", "$..id", "$.a[?(@.b)]", "$.", "$[", "$['a'"])
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="the path"):
        JsonPath.parse(path)


@given(st.lists(st.integers(), max_size=8), st.integers(-9, 9), st.integers(-9, 9))
def test_parts_are_those_of_python(values: list[int], start: int, end: int) -> None:
    assert JsonPath.parse(f"$[{start}:{end}]").select(values) == values[start:end]

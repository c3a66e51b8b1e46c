"""Values by period, and what is told of each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal.domain.statistics import STATISTICS, Span, by_period


def test_each_period_has_the_values_of_its_time() -> None:
    points = [(59.9, 1.0), (60.0, 2.0), (119.0, 4.0), (120.0, 8.0), (180.0, 16.0)]

    assert by_period(points, Span(61, 180, 60)) == {60: [2.0, 4.0], 120: [8.0]}


@given(st.lists(st.tuples(st.floats(0, 1000), st.floats(-9, 9))), st.sampled_from([1, 5, 60, 300]))
def test_no_value_is_lost_or_doubled(points: list[tuple[float, float]], period: int) -> None:
    found = by_period(points, Span(0, 1001, period))

    assert sorted(v for values in found.values() for v in values) == sorted(v for _, v in points)
    assert list(found) == sorted(found)


@pytest.mark.parametrize("period", [0, 2, 59, 61, 90, -60])
def test_a_period_is_short_or_whole_minutes(period: int) -> None:
    with pytest.raises(ValueError, match=f"Period is {period}; it must be"):
        Span(0, 60, period)


@pytest.mark.parametrize(
    ("name", "value"),
    [("SampleCount", 3), ("Average", 2), ("Sum", 6), ("Minimum", 1), ("Maximum", 3)],
)
def test_statistics_of_one_two_three(name: str, value: float) -> None:
    assert STATISTICS[name]([1, 2, 3]) == value

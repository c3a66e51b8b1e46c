"""CSV of predictions: to the byte what `repr` writes, one row a line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sagelocal_xgboost.csv_text import csv_text

EDGES = [
    *(0.0, -0.0, 1.0, -1.0, 0.1, 1 / 3, 123456789.0, 2.0**53, float(2**53 - 1)),
    *(1e-4, np.nextafter(1e-4, 0), 9.999e-5, 1e-5, 1.5e-7, 1e-10, 5e-324, 2.0**-149),
    *(1e15, np.nextafter(1e16, 0), 1e16, 1.5e16, 1e17, 1e22, 1.7976931348623157e308),
    *(float("nan"), float("inf"), float("-inf"), -1e-9, -1e16),
]
SHAPES = st.one_of(st.tuples(st.integers(1, 12)), st.tuples(st.integers(1, 8), st.integers(1, 5)))


def _expected(rows: NDArray[Any]) -> bytes:
    lines = [row if isinstance(row, list) else [row] for row in rows.tolist()]
    return "".join(",".join(map(repr, line)) + "\n" for line in lines).encode()


@pytest.mark.parametrize("value", EDGES)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_number_at_an_edge_has_the_text_of_repr(
    value: float, kind: type[np.floating[Any]]
) -> None:
    with np.errstate(over="ignore"):
        row: NDArray[Any] = np.array([value, 0.5, -value], kind)
    assert csv_text(row) == _expected(row)
    assert csv_text(row.reshape(1, -1)) == _expected(row.reshape(1, -1))


@given(hnp.arrays(np.float32, SHAPES, elements=st.floats(width=32)))
@example(np.array([[0.1, 1e-30], [3e38, 7.0]], np.float32))
def test_numbers_of_32_bits_have_the_text_of_repr(rows: NDArray[np.float32]) -> None:
    assert csv_text(rows) == _expected(rows)


@given(hnp.arrays(np.float64, SHAPES, elements=st.floats()))
def test_numbers_of_64_bits_have_the_text_of_repr(rows: NDArray[np.float64]) -> None:
    assert csv_text(rows) == _expected(rows)


def test_numbers_of_every_magnitude_have_the_text_of_repr() -> None:
    bits = np.random.default_rng(5).integers(0, 2**64, 60_000, np.uint64, endpoint=False)
    wide = bits.view(np.float64)
    narrow = bits.view(np.float32)
    rows = np.where(np.isnan(narrow), np.float32(0), narrow).reshape(-1, 3)
    assert csv_text(wide) == _expected(wide)
    assert csv_text(rows) == _expected(rows)


def test_rows_that_lie_apart_in_memory_are_read_as_rows() -> None:
    columns = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert csv_text(columns.T) == _expected(columns.T)

"""Sparse rows as they are."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sagelocal_formats.rows import SparseRows

ENTRIES = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 9)), max_size=6)


@given(st.lists(ENTRIES, max_size=4))
def test_of_a_column_given_twice_the_last_value_counts(
    entries: list[list[tuple[int, int]]],
) -> None:
    flat = [entry for row in entries for entry in row]
    rows = SparseRows(
        np.cumsum([0, *map(len, entries)]),
        np.array([key for key, _ in flat], np.int64),
        np.array([value for _, value in flat], np.float32),
        5,
    )
    distinct = rows.distinct()
    assert len(rows) == len(distinct)
    np.testing.assert_array_equal(rows.to_dense(), distinct.to_dense())
    for begin, end, row in zip(distinct.indptr, distinct.indptr[1:], entries, strict=False):
        assert sorted({key for key, _ in row}) == sorted(distinct.keys[begin:end].tolist())

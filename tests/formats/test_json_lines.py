"""JSON Lines: values and records of features, both ways, and what is said of broken lines."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sagelocal_formats import FormatError
from sagelocal_formats.json_lines import (
    read_features,
    read_json_lines,
    write_features,
    write_json_lines,
)
from sagelocal_formats.rows import SparseRows

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
tables = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=5), elements=finite
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), finite, st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.lists(values, max_size=4))
def test_values_come_back(documents: list[object]) -> None:
    stream = io.BytesIO()
    write_json_lines(stream, documents)
    assert list(read_json_lines(stream.getvalue())) == documents


@given(tables)
def test_dense_features_come_back(table: NDArray[np.float32]) -> None:
    stream = io.BytesIO()
    write_features(stream, table)
    back = read_features(stream.getvalue())
    assert isinstance(back, np.ndarray)
    np.testing.assert_array_equal(table, back)


@given(tables)
def test_sparse_features_come_back(table: NDArray[np.float32]) -> None:
    rows, keys = np.nonzero(table)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(table)))])
    sparse = SparseRows(indptr.astype(np.int64), keys, table[rows, keys], table.shape[1])
    stream = io.BytesIO()
    write_features(stream, sparse)
    back = read_features(stream.getvalue())
    assert isinstance(back, SparseRows)
    np.testing.assert_array_equal(table, back.to_dense())


def test_every_form_of_a_record_is_read() -> None:
    data = b"""{"features": [1, 2.5, 0]}
{"data": {"features": {"values": [3, 4, 5]}}}\r

{"data": {"features": {"keys": [2], "shape": [3], "values": [7]}}}
{"data": {"features": [0, 0, 1]}}
"""
    rows = read_features(data)
    assert isinstance(rows, SparseRows)
    assert rows.to_dense().tolist() == [[1, 2.5, 0], [3, 4, 5], [0, 0, 7], [0, 0, 1]]


def test_a_file_without_lines_has_no_rows() -> None:
    assert len(read_features(b"\n")) == 0
    assert list(read_json_lines(b"")) == []


def sparse(keys: str, shape: str, numbers: str) -> bytes:
    tensor = f'{{"keys": {keys}, "shape": {shape}, "values": {numbers}}}'
    return f'{{"data": {{"features": {tensor}}}}}\n'.encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"features": [1]}\n{"features": [1}\n', "a.jsonl, line 2, column 16: no JSON: Exp"),
        (b'{"features": [NaN]}\n', "a.jsonl, line 1: no JSON: NaN is no number of JSON"),
        (b"[" * 100_000 + b"\n", "a.jsonl, line 1: nested too deeply"),
        (b'{"features": [' + b"9" * 9999 + b"]}", "a.jsonl, line 1: no JSON: Exceeds the limit"),
        (b'{"instances": []}\n', 'line 1: the record is not of the form {"features": '),
        (b"[1, 2]\n", "line 1: the record is not of the form"),
        (b'{"features": [1]}\n\n{"features": [1, 2]}', "line 3: 2 features where the first .* 1"),
        (b'{"features": ["1"]}', "line 1: '1' at position 1 is no finite 32-bit number"),
        (b'{"features": [0, 1e39]}', r"line 1: '1e\+39' at position 2"),
        (b'{"features": [0, null]}', "line 1: 'None' at position 2"),
        (b'{"features": [0, 1' + b"0" * 400 + b"]}", "line 1: '1000.* at position 2"),
        (sparse("[3]", "[3]", "[1]"), "line 1: the key '3' is no whole number from 0 to 2"),
        (sparse("[1.5]", "[3]", "[1]"), "line 1: the key '1.5' is no whole number"),
        (sparse("[1]", "[3, 4]", "[1]"), 'needs "keys" as a list and "shape" as a list of one'),
        (sparse("[1]", "[1e300]", "[1]"), 'needs "keys" as a list and "shape" as a list of one'),
        (sparse("[1]", "[3]", "[1, 2]"), "line 1: 1 keys for 2 values"),
        (sparse("[1]", "[3]", "[1]") + sparse("[]", "[4]", "[]"), "line 2: 4 features where"),
        (b"\xff\xfe[", "a.jsonl, byte 0: the text is UTF-16"),
    ],
)
def test_a_broken_line_is_named(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=message):
        read_features(path, "a.jsonl")


def test_what_json_does_not_have_is_not_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_features(io.BytesIO(), np.array([[np.inf]]))


@given(st.one_of(st.binary(max_size=40), st.text(alphabet='{}[]":,features10.\n', max_size=40)))
def test_any_bytes_are_rows_or_a_format_error(data: bytes | str) -> None:
    with contextlib.suppress(FormatError):
        read_features(data.encode() if isinstance(data, str) else data)


@given(st.lists(values, max_size=3))
def test_any_values_are_rows_or_a_format_error(documents: list[object]) -> None:
    stream = io.BytesIO()
    write_json_lines(
        stream,
        [{"features": document} for document in documents]
        + [{"data": {"features": document}} for document in documents],
    )
    with contextlib.suppress(FormatError):
        read_features(stream.getvalue())

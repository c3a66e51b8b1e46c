"""libsvm text: round trips, both ways of counting columns, and what is said of broken lines."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal_formats import FormatError
from sagelocal_formats.libsvm import LibsvmRows, read_libsvm, write_libsvm
from sagelocal_formats.rows import SparseRows
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def files(draw: st.DrawFn) -> LibsvmRows:
    rows = draw(st.lists(st.dictionaries(st.integers(0, 2**32 - 2), finite, max_size=4)))
    keys = [key for row in rows for key in sorted(row)]
    values = [row[key] for row in rows for key in sorted(row)]
    features = SparseRows(
        np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64),
        np.array(keys, np.int64),
        np.array(values, np.float32),
        max(keys, default=-1) + 1,
    )

    def column(elements: st.SearchStrategy[float] | st.SearchStrategy[int]) -> list[float]:
        return draw(st.lists(elements, min_size=len(rows), max_size=len(rows)))

    weighted, grouped = draw(st.booleans()) and rows, draw(st.booleans()) and rows
    return LibsvmRows(
        features,
        np.array(column(finite), np.float32),
        np.array(column(finite), np.float32) if weighted else None,
        np.array(column(st.integers(0, 2**53)), np.int64) if grouped else None,
    )


def written(rows: LibsvmRows, first_column: int = 0) -> bytes:
    stream = io.BytesIO()
    write_libsvm(stream, rows, first_column=first_column)
    return stream.getvalue()


def parts(rows: LibsvmRows) -> list[object]:
    features = rows.features
    arrays = (features.indptr, features.keys, features.values, rows.labels)
    more = (rows.weights, rows.groups)
    return [features.width, *(array.tolist() for array in arrays)] + [
        None if array is None else array.tolist() for array in more
    ]


@given(files(), st.sampled_from([0, 1]))
def test_rows_come_back(rows: LibsvmRows, first_column: int) -> None:
    back = read_libsvm(written(rows, first_column), first_column=first_column)
    assert parts(rows) == parts(back)


@given(files(), st.sampled_from([0, 1]))
def test_lines_read_one_by_one_are_what_they_are_together(
    rows: LibsvmRows, first_column: int
) -> None:
    data = written(rows, first_column)
    commented = data.replace(b"\n", b"   # a comment: 1:2\n")
    together = read_libsvm(data, first_column=first_column)
    assert parts(together) == parts(read_libsvm(commented, first_column=first_column))


def test_weights_groups_comments_and_any_order_are_read() -> None:
    data = b"# two rows\n1:0.5 qid:3 7:2.5 2:-1 # first\r\n\r\n-1:2 qid:3\n"
    rows = read_libsvm(data)
    assert rows.weights is not None
    assert rows.groups is not None
    assert (rows.weights.tolist(), rows.groups.tolist()) == ([0.5, 2.0], [3, 3])
    assert rows.labels.tolist() == [1.0, -1.0]
    assert (rows.features.keys.tolist(), rows.features.values.tolist()) == ([2, 7], [-1.0, 2.5])
    assert rows.features.width == 8


def test_columns_count_from_zero_or_one_as_the_caller_says() -> None:
    assert read_libsvm(b"1 1:5\n").features.to_dense().tolist() == [[0, 5]]
    assert read_libsvm(b"1 1:5\n", first_column=1).features.to_dense().tolist() == [[5]]
    assert read_libsvm(b"1 1:5\n", width=3).features.to_dense().tolist() == [[0, 5, 0]]


@pytest.mark.parametrize("data", [b"", b"\n", b"# only words\n"])
def test_a_file_without_rows_has_none(data: bytes) -> None:
    assert len(read_libsvm(data)) == 0


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"1 0:1\n0 1:2 x\n", "a.svm, line 2: 'x' is not of the form column:value"),
        (b"1 0:1\n0 a:2\n", "a.svm, line 2: the column 'a' of 'a:2' is no number"),
        (b"1 0:1\n0 -1:2\n", "a.svm, line 2: the column '-1' of '-1:2' is no number"),
        (b"1 0:\n", "line 1: the value of the column 0 is '', not a number"),
        (b"1 0:1e39\n", "line 1: the value of the column 0, '1e39', is no finite 32-bit number"),
        (b"one 0:1\n", "line 1: the label is 'one', not a number"),
        (b"1 0:1\n\n1 3:1 3:2\n", "line 3: the column 3 is there twice"),
        (b"1 99999999999999:1\n", "line 1: the column '99999999999999' is beyond the last"),
        (b"1 " + b"9" * 9999 + b":1\n", "line 1: the column '9999.* is beyond the last"),
        (b"1:2 0:1\n1 0:1\n", "line 2: a weight on this line is missing; the lines before"),
        (b"1 0:1\n1 qid:1 0:1\n", "line 2: a qid on this line is there; .* before it have none"),
        (b"1 qid:x\n", "line 1: 'qid:x' is no group"),
        (b"1 0 : 1\n", "line 1: '0' is not of the form"),
        (b"1 0:1_0\n", "line 1: .*'1_0', not a number"),
        (b"1,2,3\n", "line 1: the label is '1,2,3', not a number"),
        (b"\x1f\x8b\x08\x00", "a.svm, byte 0: the file is gzip-compressed"),
        (b"1 0:1\n\xff\n", "line 2: the byte 0xff is no UTF-8 text"),
    ],
)
def test_a_broken_line_is_named(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.svm"
    path.write_bytes(data)
    with pytest.raises(FormatError, match=message):
        read_libsvm(path, "a.svm")


def test_a_column_outside_what_the_caller_allows_is_named() -> None:
    with pytest.raises(FormatError, match="line 1: the column 0 does not exist"):
        read_libsvm(b"1 0:1\n", first_column=1)
    with pytest.raises(FormatError, match="line 2: the column '3' is beyond the last, 2"):
        read_libsvm(b"1 0:1\n1 3:1\n", width=3)


@given(st.one_of(st.binary(max_size=40), st.text(alphabet="01:. #qid\n-e+", max_size=40)))
def test_any_bytes_are_rows_or_a_format_error(data: bytes | str) -> None:
    with contextlib.suppress(FormatError):
        read_libsvm(data.encode() if isinstance(data, str) else data)


@given(files())
def test_scikit_learn_reads_the_same(rows: LibsvmRows) -> None:
    plain = LibsvmRows(rows.features, rows.labels)
    if not len(plain) or not len(plain.features.keys) or plain.features.width > 1000:
        return
    matrix, labels = load_svmlight_file(io.BytesIO(written(plain)), zero_based=True)
    np.testing.assert_array_equal(plain.features.to_dense(), matrix.toarray().astype(np.float32))
    np.testing.assert_array_equal(plain.labels, labels.astype(np.float32))


def test_files_of_scikit_learn_are_read() -> None:
    dense = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32).round(2)
    for zero_based in (True, False):
        stream = io.BytesIO()
        dump_svmlight_file(dense, np.arange(20), stream, zero_based=zero_based, comment="made here")
        rows = read_libsvm(stream.getvalue(), first_column=0 if zero_based else 1)
        np.testing.assert_array_equal(dense, rows.features.to_dense())

"""Bodies to rows: what the original reads, and what it says of the rest."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sagelocal_formats.libsvm import LibsvmRows, write_libsvm
from sagelocal_formats.record_protobuf import encode_rows, encode_sparse
from sagelocal_formats.rows import SparseRows
from sagelocal_serve.errors import BadRequest, ServeError, UnsupportedMediaType
from sagelocal_serve.interface import Request
from sagelocal_xgboost import csv_rows, requests

RequestOf = Callable[..., Request]
CsvOf = Callable[[NDArray[Any]], str]


def _dense(rows: Any) -> NDArray[np.float32]:
    assert isinstance(rows, np.ndarray)
    return rows


def _filled(rows: Any, width: int) -> NDArray[np.float32]:
    """Sparse rows as a matrix with NaN where there is nothing."""
    assert isinstance(rows, SparseRows)
    assert rows.width == width
    dense = np.full((len(rows), width), np.nan, np.float32)
    places = np.repeat(np.arange(len(rows)), np.diff(rows.indptr))
    dense[places, rows.keys] = rows.values
    return dense


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("1,2,3", [[1, 2, 3]]),
        ("1,2,3\n4,5,6\n", [[1, 2, 3], [4, 5, 6]]),
        ("1,2,3\r\n4,5,6\r\n", [[1, 2, 3], [4, 5, 6]]),
        ("1,,3\n,,\n", [[1, np.nan, 3], [np.nan] * 3]),
        ("1, NaN ,3", [[1, np.nan, 3]]),
        (" 1 , 2 , 3 ", [[1, 2, 3]]),
        ('"1","2","3"', [[1, 2, 3]]),
        ("1e-3,-2.5E2,+3", [[0.001, -250, 3]]),
        ("1;2;3\n4;5;6", [[1, 2, 3], [4, 5, 6]]),
        ("1\t2\t3\n4\t5\t6", [[1, 2, 3], [4, 5, 6]]),
        ("1|2|3", [[1, 2, 3]]),
        ("1 2 3", [[1, 2, 3]]),
        ("\n\n1,2,3\n\n", [[1, 2, 3]]),
    ],
)
def test_csv_bodies(request_of: RequestOf, body: str, expected: list[list[float]]) -> None:
    found = _dense(requests.decode(request_of(body), 3))
    np.testing.assert_array_equal(found, np.array(expected, np.float32))
    row = requests.decode_row(request_of(body), 3)
    assert row is None or list(row) == np.asarray(expected[0], np.float32).tolist()


def test_without_a_content_type_a_body_is_csv(request_of: RequestOf) -> None:
    assert _dense(requests.decode(request_of("1,2", None), 2)).tolist() == [[1, 2]]


@pytest.mark.parametrize("content_type", ["text/csv; charset=utf-8", "TEXT/CSV", "csv"])
def test_parameters_and_spelling_of_a_content_type_do_not_count(
    request_of: RequestOf, content_type: str
) -> None:
    assert _dense(requests.decode(request_of("1,2", content_type), 2)).tolist() == [[1, 2]]


@pytest.mark.parametrize("kind", ["text/libsvm", "text/x-libsvm", "libsvm"])
@pytest.mark.parametrize(
    "body",
    ["0:1.5 2:3\n1:0\n", "1 0:1.5 2:3\n0 1:0\n", "1 0:1.5 2:3\r\n-1 1:0", "7 2:3 0:1.5\n7 1:0"],
)
def test_libsvm_bodies_with_and_without_labels(request_of: RequestOf, kind: str, body: str) -> None:
    found = _filled(requests.decode(request_of(body, kind), 4), 4)
    expected = [[1.5, np.nan, 3, np.nan], [np.nan, 0, np.nan, np.nan]]
    np.testing.assert_array_equal(found, np.array(expected, np.float32))


def test_recordio_bodies_dense_and_sparse_their_labels_left_aside(request_of: RequestOf) -> None:
    kind = "application/x-recordio-protobuf"
    dense = np.asarray([[1, 2, 3], [4, 5, 6]], np.float32)
    body = encode_rows({"values": dense}, {"values": np.asarray([0, 1], np.float32)})
    np.testing.assert_array_equal(_dense(requests.decode(request_of(body, kind), 3)), dense)

    sparse = SparseRows(
        np.array([0, 1, 1, 3]), np.array([2, 0, 1]), np.asarray([5, 6, 0], np.float32), 3
    )
    found = requests.decode(request_of(encode_sparse(sparse), kind), 3)
    expected = [[np.nan, np.nan, 5], [np.nan] * 3, [6, 0, np.nan]]
    np.testing.assert_array_equal(_filled(found, 3), np.array(expected, np.float32))


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        ("1,2,x", "text/csv", "Loading csv data failed.*line 1, column 3: 'x' is not a number"),
        ("1,2,3\n4,5", "text/csv", "Loading csv data failed.*line 2: 2 columns"),
        ("age,sex,income\n1,2,3", "text/csv", "looks like a header"),
        ("1,2,inf", "text/csv", "column 3: 'inf' is not a finite"),
        ("1,2,1e60", "text/csv", "not a finite"),
        ("1,2,1_0", "text/csv", "'1_0' is not a number"),
        ("\n\n", "text/csv", "no rows"),
        (b"\xff\xfe\x00", "text/csv", "Loading csv data failed"),
        ("1 a:1", "text/libsvm", "Loading libsvm data failed.*line 1"),
        ("1 1:1 1:2", "text/libsvm", "is there twice"),
        (b"\x00" * 12, "application/x-recordio-protobuf", "Loading recordio-protobuf data failed"),
        ("{}", "application/json", "Content-type application/json not supported. Supported"),
        ("x", "image/png", "Content-type image/png not supported"),
    ],
)
def test_what_cannot_be_read_is_a_415_with_the_place(
    request_of: RequestOf, body: str | bytes, content_type: str, said: str
) -> None:
    with pytest.raises(UnsupportedMediaType, match=said):
        requests.decode(request_of(body, content_type), 3)
    assert requests.decode_row(request_of(body, content_type), 3) is None


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        ("1,2,3,4", "text/csv", "text/csv inference data 4 is not consistent with .* model 3"),
        ("1 3:1", "text/libsvm", "inference data 4 is larger than feature size of trained model 3"),
    ],
)
def test_rows_that_are_wider_are_a_400_in_the_originals_words(
    request_of: RequestOf, body: str, content_type: str, said: str
) -> None:
    with pytest.raises(BadRequest, match=f"Unable to evaluate payload provided: .*{said}"):
        requests.decode(request_of(body, content_type), 3)


def test_columns_that_are_not_sent_are_missing_and_the_log_says_so_once(
    request_of: RequestOf, caplog: pytest.LogCaptureFixture
) -> None:
    for body in ("1,2\n3,4", "5,6"):
        found = requests.decode(request_of(body, "text/csv"), 4)
        expected = [[*map(float, line.split(",")), np.nan, np.nan] for line in body.split("\n")]
        np.testing.assert_array_equal(_dense(found), np.array(expected, np.float32))
    (said,) = caplog.messages
    assert "2 columns and the model 4 features: the last 2 count as missing" in said


TABLES = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(2, 5)),
    elements=st.floats(width=32, allow_infinity=False),
)


@given(rows=TABLES)
def test_csv_says_what_was_written(
    request_of: RequestOf, csv_of: CsvOf, rows: NDArray[np.float32]
) -> None:
    request = request_of(csv_of(rows))
    width = rows.shape[1]
    np.testing.assert_array_equal(_dense(requests.decode(request, width)), rows)
    one = requests.decode_row(request, width)
    if len(rows) == 1 and not np.isnan(rows).any() and math.isfinite(math.fsum(rows[0].tolist())):
        assert one is not None
        np.testing.assert_array_equal(np.asarray(one, np.float32), rows[0])


@given(rows=TABLES)
def test_libsvm_says_what_was_written(request_of: RequestOf, rows: NDArray[np.float32]) -> None:
    places, keys = np.nonzero(~np.isnan(rows))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(places, minlength=len(rows)))])
    sparse = SparseRows(indptr, keys, rows[places, keys], rows.shape[1])
    stream = io.BytesIO()
    write_libsvm(stream, LibsvmRows(sparse, np.zeros(len(rows), np.float32)))
    found = requests.decode(request_of(stream.getvalue(), "text/libsvm"), rows.shape[1])
    np.testing.assert_array_equal(_filled(found, rows.shape[1]), rows)


@pytest.mark.parametrize("last", ["\n", ""])
def test_large_csv_bodies_are_read_alike_by_the_fast_reader(
    request_of: RequestOf, csv_of: CsvOf, last: str
) -> None:
    rows = np.random.default_rng(2).normal(size=(700, 6)).astype(np.float32)
    rows[5, 3] = np.nan
    body = csv_of(rows).rstrip("\n") + last
    assert csv_rows.read_with_arrow(body.encode(), ",", body.encode()) is not None
    np.testing.assert_array_equal(_dense(requests.decode(request_of(body), 6)), rows)


@pytest.mark.parametrize("bad", ["x", "1_0", "inf", "1e99", "1,2"])
def test_large_csv_bodies_are_refused_with_the_line(request_of: RequestOf, bad: str) -> None:
    lines = ["1.25,2.5,3.75"] * 2000
    lines[1234] = f"1,2,{bad}"
    with pytest.raises(UnsupportedMediaType, match="line 1235"):
        requests.decode(request_of("\n".join(lines)), 3)


@given(body=st.binary(max_size=80), kind=st.sampled_from(list(requests._READERS)))
def test_any_bytes_are_rows_or_a_4xx(request_of: RequestOf, body: bytes, kind: str) -> None:
    request = request_of(body, kind)
    requests.decode_row(request, 2)
    try:
        assert len(requests.decode(request, 2))
    except ServeError as error:
        status = error.status
    else:
        status = 200
    assert status in (200, 400, 415)

"""Requests of the built-in algorithms: every form, every way to get one wrong."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sagelocal_formats.record_protobuf import SparseRows, encode_rows, encode_sparse
from sagelocal_serve import BadRequest, MediaType, ServeError, UnsupportedMediaType
from sagelocal_serve.codecs import FEATURE_TYPES, decode_features, decode_rows

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
ROWS = st.integers(1, 5).flatmap(
    lambda width: st.lists(st.lists(FLOATS, min_size=width, max_size=width), min_size=1, max_size=5)
)


def _decode(body: str | bytes | Any, content_type: str, width: int | None = None) -> Any:
    if not isinstance(body, str | bytes):
        body = json.dumps(body)
    raw = body.encode() if isinstance(body, str) else body
    return decode_features(raw, MediaType.parse(content_type), width=width)


@given(ROWS)
def test_the_same_records_are_read_from_every_format(rows: list[list[float]]) -> None:
    expected = np.array(rows, np.float32)
    short = [{"features": row} for row in rows]
    long = [{"data": {"features": {"values": row}}} for row in rows]
    bodies = [
        ("text/csv", "\n".join(",".join(map(repr, row)) for row in rows)),
        ("application/json", json.dumps({"instances": short})),
        ("application/json", json.dumps({"instances": long, "configuration": {}})),
        ("application/jsonlines", "\n".join(map(json.dumps, short))),
        ("application/x-recordio-protobuf", encode_rows({"values": expected})),
    ]
    for content_type, body in bodies:
        matrix = _decode(body, content_type, expected.shape[1])
        assert matrix.dtype == np.float32
        assert_array_equal(matrix, expected)


@pytest.mark.parametrize(
    "body", ["1,2\n3,4", "1,2\r\n3,4\r\n", "1,2\n\n3,4\n", '"1","2"\n3, 4', "\ufeff1,2\n3,4"]
)
def test_csv_is_read_however_its_lines_end(body: str) -> None:
    assert_array_equal(_decode(body, "text/csv; charset=utf-8"), [[1, 2], [3, 4]])


def test_csv_in_another_charset_is_read() -> None:
    assert_array_equal(_decode("1,2".encode("utf-16"), "text/csv; charset=UTF-16"), [[1, 2]])


def test_sparse_json_record_is_filled_up_with_zeros() -> None:
    sparse = {"data": {"features": {"keys": [3, 1], "shape": [5], "values": [7, 0.5]}}}
    dense = {"features": [1, 2, 3, 4, 5]}
    matrix = _decode({"instances": [sparse, dense]}, "application/json", 5)
    assert_array_equal(matrix, [[0, 0.5, 0, 7, 0], [1, 2, 3, 4, 5]])


def test_sparse_recordio_record_is_filled_up_with_zeros() -> None:
    rows = SparseRows(
        np.array([0, 1, 1, 3]), np.array([2, 0, 1]), np.array([5, 6, 7], np.float32), 3
    )
    matrix = _decode(encode_sparse(rows), "application/x-recordio-protobuf", 3)
    assert_array_equal(matrix, [[0, 0, 5], [0, 0, 0], [6, 7, 0]])


@pytest.mark.parametrize("content_type", ["application/json", "application/x-recordio-protobuf"])
def test_records_that_are_all_sparse_stay_so_for_who_asks(content_type: str) -> None:
    rows = SparseRows(
        np.array([0, 1, 1, 3]), np.array([2, 1, 0]), np.array([5, 6.5, 7], np.float32), 10**12
    )
    records = [
        {"data": {"features": {"keys": keys, "shape": [rows.width], "values": values}}}
        for keys, values in (([2], [5]), ([], []), ([1, 0], [6.5, 7]))
    ]
    body = (
        json.dumps({"instances": records}).encode()
        if content_type == "application/json"
        else encode_sparse(rows)
    )
    found = decode_rows(body, MediaType.parse(content_type), width=10**12)
    assert isinstance(found, SparseRows)
    for name in ("indptr", "keys", "values", "width"):
        assert_array_equal(getattr(rows, name), getattr(found, name))


@pytest.mark.parametrize(
    ("content_type", "body", "message"),
    [
        ("text/csv", "", "has no rows"),
        ("text/csv", "\n \n", "has no rows"),
        ("text/csv", "1,2\n3,x", "Row 2, column 2 of the CSV body is 'x', no number."),
        ("text/csv", "1,\n", "Row 1, column 2 of the CSV body is '', no number."),
        ("text/csv", "x" * 500, f"is '{'x' * 60}…', no number"),
        ("text/csv", "age,income\n1,2", "Row 1, column 1 of the CSV body is 'age'"),
        ("text/csv", "1,2\n3", "Row 2 of the CSV body has width 1, those before it 2."),
        ("text/csv", "1,2,3", "The records have 3 features, the model was trained on 2."),
        ("text/csv", "1,nan", "Row 1 of the CSV body has no finite 32-bit number at position 2"),
        ("text/csv", "1e40,1", "Row 1 of the CSV body has no finite 32-bit number at position 1"),
        ("text/csv", b"\xff\xfe1", "not utf-8 text: byte 0 is 0xff"),
        ("text/csv; charset=rot13", "1,2", "charset 'rot13' is not known"),
        ("application/json", "{", "is not JSON: .* at line 1, column 2"),
        ("application/json", [[1, 2]], r'not of the form \{"instances"'),
        ("application/json", {"instances": []}, "has no records"),
        ("application/json", {"instances": [1]}, r"Instance 1 of the JSON body is not of the form"),
        ("application/json", {"instances": [{"features": [1, "a"]}]}, r"has 'a' at position 2"),
        ("application/json", {"instances": [{"features": [1, None]}]}, "at position 2"),
        ("application/json", {"instances": [{"features": [[1], [2]]}]}, r"has \[1\] at position 1"),
        (
            "application/json",
            {"instances": [{"features": [1, 2]}, {"features": [3]}]},
            r"Instance 2 of the JSON body has 1 features, expected 2",
        ),
        ("application/json", '{"instances": [{"features": [1' + "0" * 400 + ", 2]}]}", "too large"),
        ("application/json", "[" * 100_000, "nesting too large"),
        (
            "application/json",
            {"instances": [{"data": {"features": {"keys": [0], "values": [1]}}}]},
            '"shape" as a list of one number',
        ),
        (
            "application/json",
            {"instances": [{"data": {"features": {"keys": [2], "shape": [2], "values": [1]}}}]},
            "keys that are no whole numbers from 0 to 1",
        ),
        (
            "application/json",
            {"instances": [{"data": {"features": {"keys": [0, 1], "shape": [2], "values": [1]}}}]},
            "has 2 keys and 1 values",
        ),
        ("application/jsonlines", '{"features": [1, 2]}\n{"features": [1', "Line 2 of the body"),
        ("application/jsonlines", '{"features": [1, 2]}\n7', "Record 2 of the JSON Lines body"),
        ("application/x-recordio-protobuf", b"no recordio", "cannot be read"),
        ("application/x-recordio-protobuf", b"", "has no records"),
    ],
)
def test_wrong_body_is_refused_saying_where_and_what(
    content_type: str, body: Any, message: str
) -> None:
    with pytest.raises(BadRequest, match=message):
        _decode(body, content_type, 2)


def test_unknown_type_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnsupportedMediaType, match=r"'image/png' is not supported.*text/csv"):
        _decode(b"1", "image/png")


def test_small_body_cannot_ask_for_a_huge_matrix() -> None:
    record = {"data": {"features": {"keys": [0], "shape": [10**12], "values": [1]}}}
    with pytest.raises(BadRequest, match="too many"):
        _decode({"instances": [record]}, "application/json")
    rows = SparseRows(np.array([0, 1]), np.array([0]), np.ones(1, np.float32), 10**12)
    with pytest.raises(BadRequest, match="too many"):
        _decode(encode_sparse(rows), "application/x-recordio-protobuf")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["instances", "features", "data", "values", "keys", "shape"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(JSON_VALUES, st.sampled_from([None, 1, 3]))
def test_any_json_is_read_or_refused(value: Any, width: int | None) -> None:
    for content_type in ("application/json", "application/jsonlines"):
        with contextlib.suppress(ServeError):
            assert np.isfinite(_decode(json.dumps(value), content_type, width)).all()


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=80) | st.text('0123456789.,-+e"\n\r nai', max_size=80).map(str.encode),
    st.sampled_from(FEATURE_TYPES),
)
def test_any_bytes_are_read_or_refused(body: bytes, content_type: str) -> None:
    with contextlib.suppress(ServeError):
        assert np.isfinite(_decode(body, content_type)).all()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_recordio_with_flipped_bytes_is_read_or_refused(data: st.DataObject) -> None:
    rows = SparseRows(np.array([0, 1, 2]), np.array([2, 0]), np.ones(2, np.float32), 3)
    whole = bytearray(
        data.draw(
            st.sampled_from([encode_rows({"values": np.eye(3, dtype="f4")}), encode_sparse(rows)])
        )
    )
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ServeError):
        _decode(bytes(whole), "application/x-recordio-protobuf")

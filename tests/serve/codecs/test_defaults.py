"""The input_fn and output_fn of scripts that bring none, and the formats under them."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from sagelocal_serve import BadRequest, NotAcceptable, ServeError, UnsupportedMediaType
from sagelocal_serve.codecs.defaults import input_fn, output_fn
from sagelocal_serve.codecs.npy import decode_npy, encode_npy

ARRAYS = hnp.arrays(
    st.sampled_from(["<f4", ">f8", "<i8", "|u1", "|b1", "<U5", "<c16", "<M8[s]"]),
    hnp.array_shapes(min_dims=0, max_dims=3, max_side=4) | st.just((0, 2)),
)


@given(ARRAYS, st.booleans())
def test_npy_survives_writing_and_reading(array: Any, fortran: bool) -> None:
    array = np.asfortranarray(array) if fortran else array
    back = decode_npy(encode_npy(array))
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()


def test_npy_with_a_pickle_is_refused_unopened() -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
            return pytest.fail, ("the pickle was opened",)

    stream = io.BytesIO()
    np.save(stream, np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(BadRequest, match="Python objects"):
        decode_npy(stream.getvalue())
    with pytest.raises(BadRequest, match=r"not an \.npy file"):
        decode_npy(pickle.dumps(Bomb()))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_npy_with_flipped_bytes_is_read_or_refused(data: st.DataObject) -> None:
    whole = bytearray(encode_npy(np.arange(6.0).reshape(2, 3)))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadRequest):
        decode_npy(bytes(whole))


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        ("1,2,3", "text/csv", [1.0, 2.0, 3.0]),
        ("1,2\n3,4\n", "text/csv", [[1.0, 2.0], [3.0, 4.0]]),
        ("1,,3", "text/csv; charset=utf-8", [1.0, np.nan, 3.0]),
        ("1,2", "text/csv; charset=utf-16", [1.0, 2.0]),
        ("1\n2", "text/csv", [1.0, 2.0]),
        ("[[1, 2], [3, 4]]", "application/json", [[1, 2], [3, 4]]),
        ("[1, 2]\n[3, 4]\n", "application/jsonlines", [[1, 2], [3, 4]]),
        (encode_npy(np.eye(2)), "application/x-npy", np.eye(2)),
    ],
)
def test_input_becomes_an_array(body: Any, content_type: str, expected: Any) -> None:
    assert_array_equal(input_fn(body, content_type), expected)


def test_input_of_another_type_is_unsupported() -> None:
    with pytest.raises(UnsupportedMediaType, match="application/json, text/csv"):
        input_fn(b"x", "image/tiff")


@pytest.mark.parametrize("content_type", ["text/csv", "application/json", "application/x-npy"])
def test_empty_input_is_refused(content_type: str) -> None:
    with pytest.raises(BadRequest, match="empty body"):
        input_fn("", content_type)


@pytest.mark.parametrize("body", ["[[1, 2], [3]]", "[1, [2]]"])
def test_lists_of_unequal_length_are_refused(body: str) -> None:
    with pytest.raises(BadRequest, match="unequal"):
        input_fn(body, "application/json")


@pytest.mark.parametrize(
    ("prediction", "accept", "body"),
    [
        (np.array([1.5, 2.0]), "application/json", b"[1.5, 2.0]"),
        ({"a": np.float32(0.5), "b": [np.int64(1)]}, "application/json", b'{"a": 0.5, "b": [1]}'),
        ("text", "application/json", b'"text"'),
        (np.array([1.5, 2.0]), "text/csv", b"1.5\n2.0\n"),
        (np.array([[1, 2], [3, 4]]), "text/csv", b"1,2\n3,4\n"),
        (['say "a,b"', "c"], "text/csv", b'"say ""a,b"""\nc\n'),
        (0.5, "text/csv", b"0.5\n"),
        (np.array([[1, 2], [3, 4]]), "application/jsonlines", b"[1, 2]\n[3, 4]\n"),
        ([1, 2], "image/png, text/csv", b"1\n2\n"),
        ([1, 2], "*/*", b"[1, 2]"),
    ],
)
def test_output_is_written_as_asked_for(prediction: Any, accept: str, body: bytes) -> None:
    assert output_fn(prediction, accept)[0] == body


def test_output_says_its_content_type() -> None:
    assert output_fn([1], "image/png, text/csv;q=0.5")[1] == "text/csv"


def test_output_as_npy_is_read_by_numpy() -> None:
    body, _ = output_fn([[1.0, 2.0]], "application/x-npy")
    assert isinstance(body, bytes)
    assert_array_equal(np.load(io.BytesIO(body)), [[1.0, 2.0]])


@pytest.mark.parametrize(
    ("accept", "lines"),
    [
        ("application/jsonlines", [b"[1, 2]\n", b'{"a": 0.5}\n']),
        ("text/csv", [b"1,2\n", b"{'a': 0.5}\n"]),
    ],
)
def test_output_of_a_generator_is_made_line_by_line(accept: str, lines: list[bytes]) -> None:
    asked: list[int] = []

    def values() -> Iterator[Any]:
        for number, value in enumerate([np.array([1, 2]), {"a": 0.5}]):
            asked.append(number)
            yield value

    body, _ = output_fn(values(), accept)
    assert not isinstance(body, bytes)
    made = iter(body)
    assert (next(made), asked) == (lines[0], [0])
    assert list(made) == lines[1:]


@pytest.mark.parametrize("content_type", ["application/json", "application/jsonlines"])
def test_half_a_character_is_no_text_for_any_model(content_type: str) -> None:
    with pytest.raises(BadRequest, match=r"has \\ud83d, which is half a character"):
        input_fn(rb'["a\ud83d"]', content_type)
    pair = input_fn(rb'["\ud83d\ude00", "\\ud800"]', content_type)
    assert pair.ravel().tolist() == ["\N{GRINNING FACE}", r"\ud800"]


@pytest.mark.parametrize("prediction", [{"a": 1}, [1, None], [[1, 2], [3]]])
def test_what_is_no_array_is_not_acceptable_as_npy(prediction: Any) -> None:
    with pytest.raises(NotAcceptable, match="no array of numbers or text"):
        output_fn(prediction, "application/x-npy")


def test_output_in_another_format_is_not_acceptable() -> None:
    with pytest.raises(NotAcceptable, match="image/png"):
        output_fn([1], "image/png")


@given(hnp.arrays("<f8", hnp.array_shapes(max_dims=2, max_side=4), elements=st.floats(-1e9, 1e9)))
def test_json_output_is_read_back_by_the_json_input(array: Any) -> None:
    body, content_type = output_fn(array, "application/json")
    assert isinstance(body, bytes)
    assert_array_equal(input_fn(body, content_type), array)
    assert json.loads(body) == array.tolist()


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=80) | st.text('[]{}:,"0123456789.e-\nnul ', max_size=60).map(str.encode),
    st.sampled_from(["text/csv", "application/json", "application/jsonlines", "application/x-npy"]),
)
def test_any_input_is_read_or_refused(body: bytes, content_type: str) -> None:
    with contextlib.suppress(ServeError):
        input_fn(body, content_type)

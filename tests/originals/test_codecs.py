"""encoders and decoders under the names of the original containers, held to what those promise."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sagelocal_serve import BadRequest
from sagemaker_containers.beta.framework import encoders
from sagemaker_containers.beta.framework import errors as containers_errors
from sagemaker_inference import content_types, decoder, default_inference_handler, encoder, errors
from sagemaker_inference import utils as toolkit_utils
from scipy import sparse

Encode = Callable[[Any, str], Any]
BOTH = pytest.mark.parametrize("encode", [encoder.encode, encoders.encode])
DECODERS = pytest.mark.parametrize("decode", [decoder.decode, encoders.decode])


@BOTH
@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([42, 6, 9], "[42, 6, 9]"),
        ([42.0, 6.0], "[42.0, 6.0]"),
        (["42", "6"], '["42", "6"]'),
        ({42: {"6": 9.0}}, '{"42": {"6": 9.0}}'),
        ({"scores": np.array([0.5, 1.0])}, '{"scores": [0.5, 1.0]}'),
        (np.array([[1, 2], [3, 4]]), "[[1, 2], [3, 4]]"),
        (np.float32(0.5), "0.5"),
    ],
)
def test_json_takes_whatever_has_lists_in_it(encode: Encode, value: Any, text: str) -> None:
    assert encode(value, content_types.JSON) == text


@BOTH
def test_what_json_has_no_form_of_is_a_type_error(encode: Encode) -> None:
    with pytest.raises(TypeError):
        encode(object(), content_types.JSON)


@BOTH
@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([42, 6, 9], "42\n6\n9\n"),
        ([42.0, 6.0], "42.0\n6.0\n"),
        (["42", "6"], "42\n6\n"),
        (np.ones((2, 2)), "1.0,1.0\n1.0,1.0\n"),
        (np.array([0.1], np.float32), "0.1\n"),
    ],
)
def test_csv_has_a_line_for_each_row_or_value(encode: Encode, value: Any, text: str) -> None:
    assert encode(value, "text/csv; charset=utf-8") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["False,", "True.", 'b"b'], '"False,"\nTrue.\n"b""b"\n'),
        ([["a\nb", "c"]], '"a\nb",c\n'),
        ("yes", "yes\n"),
    ],
)
def test_the_older_csv_quotes_cells_and_reads_them_again(value: Any, text: str) -> None:
    assert encoders.encode(value, content_types.CSV) == text
    assert encoders.decode(text, content_types.CSV).tolist() == np.squeeze(value).tolist()


@BOTH
@pytest.mark.parametrize("value", [[42, 6, 9], [42.0, 6.0], ["42", "6"], [[1.5], [2.5]]])
def test_npy_is_what_numpy_reads(encode: Encode, value: Any) -> None:
    written = encode(value, content_types.NPY)
    assert np.load(io.BytesIO(written)).tolist() == value
    assert decoder.decode(written, content_types.NPY).tolist() == value
    assert encoders.decode(bytearray(written), content_types.NPY).tolist() == value


@DECODERS
def test_a_pickle_in_an_npy_body_is_not_run(decode: Callable[..., Any]) -> None:
    stream = io.BytesIO()
    np.save(stream, np.array({"a": 1}), allow_pickle=True)
    with pytest.raises(BadRequest, match="Python objects"):
        decode(stream.getvalue(), content_types.NPY)


@DECODERS
@pytest.mark.parametrize(
    ("body", "content_type", "values"),
    [
        ("[42, 6, 9]", content_types.JSON, [42, 6, 9]),
        (b"[[1.5]]", "application/json;verbose=true", [[1.5]]),
        ('["42", "6"]', content_types.JSON, ["42", "6"]),
        ("42\n6\n9\n", content_types.CSV, [42, 6, 9]),
        ("1,2.5", content_types.CSV, [1, 2.5]),
        (b"1,2\n3,4\n", content_types.CSV, [[1, 2], [3, 4]]),
        ("1,2.5\n3,4.5\n", content_types.CSV, [[1, 2.5], [3, 4.5]]),
        ("a,1\nb,2\n", content_types.CSV, [["a", "1"], ["b", "2"]]),
    ],
)
def test_json_and_csv_become_arrays(
    decode: Callable[..., Any], body: Any, content_type: str, values: list[Any]
) -> None:
    assert decode(body, content_type).tolist() == values


def test_integers_of_csv_stay_integers_in_the_newer_toolkit_alone() -> None:
    assert decoder.decode("1,2", content_types.CSV).dtype == np.int64
    assert encoders.decode("1,2", content_types.CSV).dtype == np.float64


def test_a_wanted_type_is_given_or_named() -> None:
    assert encoders.json_to_numpy('["42"]', dtype=int).tolist() == [42]
    with pytest.raises(containers_errors.ClientError, match=r"could not convert.*dtype is: float"):
        encoders.csv_to_numpy("a\n", dtype="float")


def test_an_npz_body_is_a_sparse_matrix() -> None:
    stream = io.BytesIO()
    sparse.save_npz(stream, sparse.csr_matrix([[0, 1.5], [2, 0]]))
    found = decoder.decode(stream.getvalue(), content_types.NPZ)
    assert sparse.issparse(found)
    assert found.toarray().tolist() == [[0, 1.5], [2, 0]]


@pytest.mark.parametrize("call", [encoder.encode, decoder.decode, encoders.encode, encoders.decode])
def test_another_type_is_an_unsupported_format(call: Encode) -> None:
    assert containers_errors.UnsupportedFormatError is errors.UnsupportedFormatError
    with pytest.raises(errors.UnsupportedFormatError, match="Content type application/octet-str"):
        call("42", content_types.OCTET_STREAM)


def test_the_default_handler_writes_the_first_type_that_it_can() -> None:
    handler = default_inference_handler.DefaultInferenceHandler()
    assert handler.default_input_fn("[1]", "application/json").tolist() == [1]
    assert handler.default_output_fn([1], "image/png, text/csv;q=0.5") == ("1\n", "text/csv")
    with pytest.raises(errors.UnsupportedFormatError, match="image/png"):
        handler.default_output_fn([1], "image/png")
    with pytest.raises(NotImplementedError, match="model_fn"):
        handler.default_model_fn("/opt/ml/model")


@pytest.mark.parametrize("name", ["Content-Type", "Content-type", "content-type", "ContentType"])
def test_a_content_type_is_found_however_it_is_spelt(name: str) -> None:
    headers = {"Accept": "*/*", name: "text/csv"}
    assert toolkit_utils.retrieve_content_type_header(headers) == "text/csv"

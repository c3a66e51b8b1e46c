"""Answers of the built-in algorithms in every format."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sagelocal_formats.record_protobuf import Tensor, read_records
from sagelocal_serve import MediaType, NotAcceptable
from sagelocal_serve.codecs import PREDICTION_TYPES, encode_predictions

COLUMNS = {
    "score": np.array([[0.25, 0.75], [0.5, 0.5]], np.float32),
    "predicted_label": np.array([1, 0]),
}


def _encode(answer: str) -> bytes:
    return encode_predictions(COLUMNS, MediaType.parse(answer))


def test_json_has_one_object_per_record() -> None:
    assert json.loads(_encode("application/json")) == {
        "predictions": [
            {"score": [0.25, 0.75], "predicted_label": 1},
            {"score": [0.5, 0.5], "predicted_label": 0},
        ]
    }


def test_json_lines_have_one_object_per_line() -> None:
    lines = _encode("application/x-jsonlines").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"score": [0.25, 0.75], "predicted_label": 1},
        {"score": [0.5, 0.5], "predicted_label": 0},
    ]


def test_csv_has_one_line_per_record() -> None:
    assert _encode("text/csv") == b"0.25,0.75,1\n0.5,0.5,0\n"


def test_recordio_has_float_tensors_in_the_label_map() -> None:
    records = list(read_records(_encode("application/x-recordio-protobuf")))
    for row, record in enumerate(records):
        assert set(record.label) == {"score", "predicted_label"}
        for name, tensor in record.label.items():
            assert isinstance(tensor, Tensor)
            assert tensor.values.dtype == np.float32
            assert_array_equal(tensor.values, np.ravel(COLUMNS[name][row]))


def test_float_keeps_every_bit() -> None:
    score = np.array([0.1, 1 / 3, 1e-30], np.float32)
    answer = json.loads(encode_predictions({"score": score}, MediaType.parse("application/json")))
    assert_array_equal(np.array([p["score"] for p in answer["predictions"]], "f4"), score)


@pytest.mark.parametrize("answer", PREDICTION_TYPES)
def test_no_records_are_no_predictions(answer: str) -> None:
    assert encode_predictions({"score": np.zeros(0, np.float32)}, MediaType.parse(answer)) in (
        b"",
        b'{"predictions": []}',
    )


def test_other_formats_are_not_acceptable() -> None:
    with pytest.raises(NotAcceptable):
        _encode("image/png")

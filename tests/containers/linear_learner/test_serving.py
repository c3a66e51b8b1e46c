"""The endpoint: every way to ask and to be answered, against a real server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sagelocal_formats.record_protobuf import (
    SparseRows,
    Tensor,
    encode_rows,
    encode_sparse,
    read_records,
)
from sagelocal_linear_learner import artifact
from sagelocal_linear_learner.model import LinearModel

PROTOBUF = "application/x-recordio-protobuf"
REGRESSOR = LinearModel(
    "regressor", np.array([[2.0, -0.5]], np.float32), np.array([10.0], np.float32), "identity"
)
BINARY = LinearModel(
    "binary_classifier",
    np.array([[1.0, 0.0]], np.float32),
    np.array([0.0], np.float32),
    "sigmoid",
    threshold=0.9,
)
MULTICLASS = LinearModel(
    "multiclass_classifier",
    np.array([[1, 0], [0, 1], [-1, -1]], np.float32),
    np.zeros(3, np.float32),
    "softmax",
)
ROWS = np.array([[3, 4], [0, 2]], np.float32)
SCORES = [14.0, 9.0]

REQUESTS = {
    "text/csv": b"3,4\n0,2\n",
    "text/csv; charset=utf-8": b"3,4\r\n0,2",
    "application/json": b'{"instances": [{"features": [3, 4]}, {"features": [0, 2]}]}',
    "application/jsonlines": b'{"features": [3, 4]}\n{"data": {"features": {"values": [0, 2]}}}',
    PROTOBUF: encode_rows({"values": ROWS}),
}
JSON_FORMS = [
    {"features": [0, 2]},
    {"data": {"features": {"values": [0, 2]}}},
    {"data": {"features": {"keys": [1], "shape": [2], "values": [2]}}},
]


@pytest.fixture
def endpoint(serve: Any, tmp_path: Path) -> Any:
    def start(model: LinearModel) -> Any:
        (tmp_path / "model").mkdir()
        artifact.save(model, tmp_path / "model" / "model_algo-1")
        return serve(tmp_path)

    return start


def test_every_request_format_gives_the_same_scores(endpoint: Any) -> None:
    server = endpoint(REGRESSOR)
    for content_type, body in REQUESTS.items():
        answer = server.invoke(body, content_type)
        assert (answer.status, answer.content_type) == (200, "application/json"), answer
        assert answer.json == {"predictions": [{"score": score} for score in SCORES]}
    for record in JSON_FORMS:
        document = json.dumps({"instances": [record], "configuration": {}})
        assert server.invoke(document, "application/json").json == {"predictions": [{"score": 9.0}]}
    sparse = SparseRows(np.array([0, 1]), np.array([1]), np.array([2], np.float32), 2)
    assert server.invoke(encode_sparse(sparse), PROTOBUF).json["predictions"] == [{"score": 9.0}]


def test_every_answer_format_says_the_same(endpoint: Any) -> None:
    server = endpoint(BINARY)

    def ask(accept: str) -> Any:
        answer = server.invoke("3,4\n0,2\n", "text/csv", accept)
        assert answer.status == 200, answer
        assert answer.content_type.startswith(accept)
        return answer

    scores = [float(np.float32(1 / (1 + np.exp(-value)))) for value in (3, 0)]
    objects = [{"score": scores[0], "predicted_label": 1}, {"score": 0.5, "predicted_label": 0}]
    assert ask("application/json").json == {"predictions": objects}
    lines = ask("application/jsonlines").body.decode().splitlines()
    assert [json.loads(line) for line in lines] == objects
    assert ask("text/csv").body.decode() == f"{scores[0]},1\n0.5,0\n"
    for record, expected in zip(read_records(ask(PROTOBUF).body), objects, strict=True):
        for name, value in expected.items():
            tensor = record.label[name]
            assert isinstance(tensor, Tensor)
            assert tensor.values.dtype == np.float32
            assert tensor.values.tolist() == [value]


def test_a_multiclass_answer_has_a_score_for_every_class(endpoint: Any) -> None:
    server = endpoint(MULTICLASS)
    (prediction,) = server.invoke("0,2", "text/csv").json["predictions"]
    assert prediction["predicted_label"] == 1
    assert len(prediction["score"]) == 3
    assert sum(prediction["score"]) == pytest.approx(1)
    (record,) = read_records(server.invoke("0,2", "text/csv", PROTOBUF).body)
    tensor = record.label["score"]
    assert isinstance(tensor, Tensor)
    assert tensor.values.tolist() == prediction["score"]


def test_one_number_is_a_row_of_one_feature(endpoint: Any) -> None:
    one = LinearModel(
        "regressor", np.array([[8.4]], np.float32), np.array([1017.2], np.float32), "identity"
    )
    server = endpoint(one)
    (prediction,) = server.invoke("42", "text/csv").json["predictions"]
    exact = float(np.float32(8.4)) * 42 + float(np.float32(1017.2))
    assert prediction["score"] == float(np.float32(exact))
    assert len(server.invoke("42\n81", "text/csv").json["predictions"]) == 2


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "message"),
    [
        ("1,2,3", "text/csv", None, 400, "have 3 features, the model was trained on 2"),
        ("1,abc", "text/csv", None, 400, "Row 1, column 2 of the CSV body is 'abc', no number"),
        ("1,nan", "text/csv", None, 400, "no finite"),
        ("", "text/csv", None, 400, "empty body"),
        ("{", "application/json", None, 400, "not JSON"),
        ("{}", "application/json", None, 400, "instances"),
        ("1,2", PROTOBUF, None, 400, "not a RecordIO record"),
        ("1,2", "application/x-npy", None, 415, "application/x-npy"),
        ("1,2", "text/csv", "image/png", 406, "image/png"),
    ],
)
def test_what_cannot_be_answered_says_why(
    body: str, content_type: str, accept: str | None, status: int, message: str, endpoint: Any
) -> None:
    answer = endpoint(REGRESSOR).invoke(body, content_type, accept)
    assert answer.status == status, answer
    assert message in answer.json["message"]


def test_batch_transform_is_told_how_to_call(endpoint: Any) -> None:
    answer = endpoint(REGRESSOR).request("GET", "/execution-parameters")
    assert answer.json["BatchStrategy"] == "MULTI_RECORD"

"""Requests and answers that all of the algorithms share, without a server in between."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sagelocal_first_party import ArtifactError, Columns, Features, FirstParty
from sagelocal_formats.record_protobuf import SparseRows, Tensor, encode_sparse, read_records
from sagelocal_serve import (
    Accept,
    AlgorithmHandler,
    BadRequest,
    MediaType,
    ModelError,
    Request,
    Response,
)

PROTOBUF = "application/x-recordio-protobuf"


class Doubler(FirstParty[int]):
    """Answers twice the features; the model is their number."""

    envelope = "doubles"
    verbose_only = ("halves",)

    def read(self, model_dir: Path) -> int:
        if not model_dir.exists():
            raise ArtifactError("there is no model")
        return 2

    def width(self, model: int) -> int:
        return model

    def answer(self, model: int, rows: Features) -> Columns:
        return {"double": rows * 2, "halves": rows / 2}


def ask(body: bytes | str, content_type: str = "text/csv", accept: str = "") -> Response:
    handler = AlgorithmHandler(Doubler())
    handler.load(Path("/"))
    content = body.encode() if isinstance(body, str) else body
    return handler.handle(Request(content, MediaType.parse(content_type), Accept.parse(accept)))


def said(response: Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


def test_the_list_of_answers_has_the_algorithms_own_name() -> None:
    objects = [{"double": [2, 4]}, {"double": [6, 8]}]
    assert json.loads(said(ask("1,2\n3,4\n"))) == {"doubles": objects}
    lines = said(ask("1,2\n3,4\n", accept="application/jsonlines")).splitlines()
    assert [json.loads(line) for line in lines] == objects


@pytest.mark.parametrize(
    "accept", ["application/json; verbose=true", "application/json;verbose=True"]
)
def test_who_asks_for_a_verbose_answer_gets_more(accept: str) -> None:
    assert json.loads(said(ask("1,2", accept=accept))) == {
        "doubles": [{"double": [2, 4], "halves": [0.5, 1]}]
    }


@pytest.mark.parametrize("verbose", [False, True])
def test_a_verbose_answer_can_be_records(verbose: bool) -> None:
    accept = f"{PROTOBUF}; verbose=true" if verbose else PROTOBUF
    (record,) = read_records(said(ask("1,2", accept=accept)))
    assert set(record.label) == ({"double", "halves"} if verbose else {"double"})
    tensor = record.label["double"]
    assert isinstance(tensor, Tensor)
    assert tensor.values.tolist() == [2, 4]


def test_sparse_records_are_filled_up() -> None:
    rows = SparseRows(np.array([0, 1, 1]), np.array([1]), np.array([5], np.float32), 2)
    assert json.loads(said(ask(encode_sparse(rows), PROTOBUF)))["doubles"] == [
        {"double": [0, 10]},
        {"double": [0, 0]},
    ]


def test_labels_of_a_csv_request_are_left_out() -> None:
    answer = said(ask("9,1,2\n9,3,4\n", "text/csv; label_size=1"))
    assert json.loads(answer)["doubles"] == [{"double": [2, 4]}, {"double": [6, 8]}]
    with pytest.raises(BadRequest, match=r"have 1 features after label_size=1, .*trained on 2"):
        ask("1,2", "text/csv; label_size=1")
    with pytest.raises(BadRequest, match=r"label_size='x' of the Content-Type is no whole number"):
        ask("1,2", "text/csv; label_size=x")


def test_a_model_that_cannot_be_read_is_the_models_fault() -> None:
    with pytest.raises(ModelError, match="there is no model"):
        AlgorithmHandler(Doubler()).load(Path("/nowhere"))

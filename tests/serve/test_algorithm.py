"""An Algorithm behind its handler: the order of its steps and its answers to nothing."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import pytest
from sagelocal_serve import (
    Accept,
    Algorithm,
    AlgorithmHandler,
    BadRequest,
    MediaType,
    ModelError,
    NotAcceptable,
    Request,
)


class Double(Algorithm[int, int, int]):
    """Multiplies a number by what the model's file says."""

    offers: ClassVar[tuple[str, ...]] = ("text/csv", "application/json")

    def load(self, model_dir: Path) -> int:
        return int((model_dir / "factor").read_text())

    def decode(self, model: int, request: Request) -> int:
        if not request.body.isdigit():
            raise BadRequest("That is no number.")
        return int(request.body)

    def predict(self, model: int, data: int) -> int:
        return model * data

    def encode(self, predictions: int, answer: MediaType) -> bytes:
        return f"{predictions} as {answer.canonical}".encode()


class Quiet(Double):
    empty_body_status: ClassVar[Literal[204, 400]] = 204


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    (tmp_path / "factor").write_text("2")
    return tmp_path


def _loaded(algorithm: Double, model_dir: Path) -> AlgorithmHandler[int, int, int]:
    handler = AlgorithmHandler(algorithm)
    handler.load(model_dir)
    return handler


def test_request_goes_through_decode_predict_and_encode(model_dir: Path) -> None:
    response = _loaded(Double(), model_dir).handle(Request(b"21"))
    assert response.body == b"42 as text/csv"
    assert str(response.content_type) == "text/csv"


def test_answer_is_in_the_format_that_was_asked_for(model_dir: Path) -> None:
    request = Request(b"21", accept=Accept.parse("application/json"))
    assert _loaded(Double(), model_dir).handle(request).body == b"42 as application/json"


def test_format_that_is_not_offered_is_not_acceptable(model_dir: Path) -> None:
    request = Request(b"21", accept=Accept.parse("image/png"))
    with pytest.raises(NotAcceptable, match="Available: text/csv, application/json"):
        _loaded(Double(), model_dir).handle(request)


def test_body_is_judged_before_the_accept_header(model_dir: Path) -> None:
    request = Request(b"x", accept=Accept.parse("image/png"))
    with pytest.raises(BadRequest):
        _loaded(Double(), model_dir).handle(request)


def test_empty_body_is_a_bad_request(model_dir: Path) -> None:
    with pytest.raises(BadRequest, match="empty body"):
        _loaded(Double(), model_dir).handle(Request(b""))


def test_empty_body_is_204_where_the_algorithm_says_so(model_dir: Path) -> None:
    response = _loaded(Quiet(), model_dir).handle(Request(b""))
    assert (response.status, response.body) == (204, b"")


def test_handler_without_a_model_says_so() -> None:
    with pytest.raises(ModelError, match="No model is loaded"):
        AlgorithmHandler(Double()).handle(Request(b"1"))

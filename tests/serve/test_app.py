"""The routes, in process: every status, every header, every error body."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sagelocal_serve import (
    BadRequest,
    ExecutionParameters,
    MediaType,
    Request,
    Response,
    Settings,
    create_app,
)
from sagelocal_serve.hosted import HostedModel
from sagelocal_serve.routing import Call, Reply, Route
from werkzeug.test import Client, TestResponse

CSV = MediaType.parse("text/csv")
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


class Scripted:
    """A handler made of one function."""

    shares_memory = True

    def __init__(
        self,
        function: Callable[[Request], Response] = lambda request: Response(request.body, CSV),
        parameters: ExecutionParameters | None = None,
    ) -> None:
        self.handle = function
        self._parameters = parameters

    def prepare(self, model_dir: Path) -> None:
        """Nothing to prepare."""

    def load(self, model_dir: Path) -> None:
        """Nothing to load."""

    def execution_parameters(self) -> ExecutionParameters | None:
        return self._parameters


def _client(handler: Any = None, **changes: Any) -> Client:
    return Client(create_app(handler or Scripted(), Settings(**changes)))


def _raising(error: Exception) -> Scripted:
    def fail(request: Request) -> Response:
        raise error

    return Scripted(fail)


def _seen(client_arguments: dict[str, Any], **changes: Any) -> Request:
    """The request as the handler gets it."""
    requests: list[Request] = []

    def keep(request: Request) -> Response:
        requests.append(request)
        return Response(b"")

    _client(Scripted(keep), **changes).post("/invocations", **client_arguments)
    return requests[0]


def _message(answer: TestResponse, status: int) -> str:
    """The message of an error answer, which must be JSON in the one shape of all errors."""
    assert answer.status_code == status
    assert answer.mimetype == "application/json"
    body = json.loads(answer.data)
    assert set(body) == {"code", "type", "message"}
    assert body["code"] == status
    return str(body["message"])


def test_ping_of_a_ready_model_is_200_and_empty() -> None:
    answer = _client().get("/ping")
    assert (answer.status_code, answer.data) == (200, b"")


def test_ping_before_loading_is_503() -> None:
    handler = Scripted()
    hosted = HostedModel(handler, Path("/nowhere"))
    client = Client(create_app(handler, Settings(), hosted))
    assert _message(client.get("/ping"), 503) == "The model is loading."
    assert _message(client.post("/invocations", data=b"1"), 503) == "The model is loading."
    hosted.load()
    assert client.get("/ping").status_code == 200


def test_handler_gets_body_and_headers() -> None:
    request = _seen(
        {
            "data": b"1,2",
            "headers": {
                "Content-Type": "text/csv; label_size=0",
                "Accept": "application/json;q=0.5, text/csv",
                ATTRIBUTES: "trace=7",
                "X-Amzn-SageMaker-Inference-Id": "42",
            },
        }
    )
    assert request.body == b"1,2"
    assert request.content_type.canonical == "text/csv"
    assert request.content_type.parameter("label_size") == "0"
    assert str(request.negotiate(("application/json", "text/csv"))) == "text/csv"
    assert request.custom_attributes == "trace=7"
    assert request.headers["x-amzn-sagemaker-inference-id"] == "42"


@pytest.mark.parametrize("accept", [None, "", "*/*"])
def test_default_accept_of_the_settings_answers_who_asks_for_nothing(accept: str | None) -> None:
    headers = {} if accept is None else {"Accept": accept}
    wanted = Settings.read({"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv"}).default_accept
    request = _seen({"headers": headers}, default_accept=wanted)
    assert str(request.negotiate(("application/json", "text/csv"))) == "text/csv"


def test_accept_header_goes_before_the_default() -> None:
    wanted = Settings.read({"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv"}).default_accept
    request = _seen({"headers": {"Accept": "application/json"}}, default_accept=wanted)
    assert str(request.accept) == "application/json"


def test_accept_of_a_streaming_invocation_is_understood() -> None:
    request = _seen({"headers": {"X-Amzn-SageMaker-Accept": "text/csv"}})
    assert str(request.accept) == "text/csv"


def test_answer_carries_status_type_and_custom_attributes() -> None:
    handler = Scripted(lambda request: Response(b"1\n", CSV, "trace=8", 201))
    answer = _client(handler).post("/invocations", data=b"1")
    assert answer.status_code == 201
    assert answer.headers["Content-Type"] == "text/csv"
    assert answer.headers[ATTRIBUTES] == "trace=8"
    assert answer.data == b"1\n"


@pytest.mark.parametrize("attributes", ["a\r\nSet-Cookie: b", "ü", "x" * 1025])
def test_custom_attributes_that_cannot_be_relayed_are_a_500(attributes: str) -> None:
    handler = Scripted(lambda request: Response(b"1\n", CSV, attributes))
    message = _message(_client(handler).post("/invocations", data=b"1"), 500)
    assert "custom attributes" in message


def test_serve_error_of_the_handler_is_told_as_it_is() -> None:
    answer = _client(_raising(BadRequest("Row 3 is empty."))).post("/invocations", data=b"1")
    assert _message(answer, 400) == "Row 3 is empty."


def test_any_other_error_of_the_handler_is_a_500_without_trace_or_path() -> None:
    error = ValueError("cannot read /opt/ml/model/model.bin")
    answer = _client(_raising(error)).post("/invocations", data=b"1")
    expected = "The model failed on this request. ValueError: cannot read model.bin"
    assert _message(answer, 500) == expected
    assert b"Traceback" not in answer.data


def test_error_does_not_close_the_gate() -> None:
    client = _client(_raising(ValueError("always")), threads=1, queue_size=0)
    statuses = {client.post("/invocations", data=b"1").status_code for _ in range(5)}
    assert statuses == {500}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("POST", "/ping", "GET"), ("GET", "/invocations", "POST"), ("OPTIONS", "/invocations", "")],
)
def test_wrong_method_is_405(method: str, path: str, allowed: str) -> None:
    answer = _client().open(path, method=method)
    assert f"{method} is not allowed on {path}." == _message(answer, 405)
    assert allowed in answer.headers["Allow"]


@pytest.mark.parametrize("path", ["/", "/ping/", "/models", "/static/x", "/%3Cscript%3E"])
def test_unknown_path_is_404(path: str) -> None:
    assert "/invocations" in _message(_client().get(path), 404)


def test_execution_parameters_are_404_unless_the_handler_gives_some() -> None:
    _message(_client().get("/execution-parameters"), 404)


def test_execution_parameters_are_told() -> None:
    handler = Scripted(parameters=ExecutionParameters(8, "MULTI_RECORD", 6))
    answer = _client(handler).get("/execution-parameters")
    assert answer.get_json() == {
        "MaxConcurrentTransforms": 8,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 6,
    }


@pytest.mark.parametrize(("size", "status"), [(10, 200), (11, 413)])
def test_body_may_have_as_many_bytes_as_the_limit(size: int, status: int) -> None:
    client = _client(max_request_bytes=10)
    assert client.post("/invocations", data=b"x" * size).status_code == status


def test_body_without_a_length_is_measured_too() -> None:
    client = _client(max_request_bytes=10)
    for size, status in [(10, 200), (11, 413)]:
        answer = client.post(
            "/invocations",
            environ_overrides={
                "wsgi.input": _Stream([b"x"] * size),
                "wsgi.input_terminated": True,
            },
        )
        assert answer.status_code == status


def test_body_that_ends_early_is_400() -> None:
    answer = _client().post(
        "/invocations",
        environ_overrides={
            "wsgi.input": _Stream([b"abc"]),
            "wsgi.input_terminated": True,
            "CONTENT_LENGTH": "10",
        },
    )
    assert _message(answer, 400) == "The body ended after 3 of 10 bytes."


class _Stream:
    """A body that comes in small pieces and has no known length."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def read(self, size: int = -1) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


@pytest.mark.parametrize("content_type", ["text/csv/x", "; charset=utf-8"])
def test_unreadable_content_type_is_415(content_type: str) -> None:
    headers = {"Content-Type": content_type}
    assert "cannot be read" in _message(_client().post("/invocations", headers=headers), 415)


def test_unreadable_accept_is_406() -> None:
    headers = {"Accept": "text/csv;q=much"}
    assert "cannot be read" in _message(_client().post("/invocations", headers=headers), 406)


def test_streamed_answer_holds_its_place_until_it_ends() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"a"
        yield b"b"

    client = _client(Scripted(lambda request: Response(pieces(), CSV)), threads=1, queue_size=0)
    first = client.post("/invocations", data=b"1", buffered=False)
    assert client.post("/invocations", data=b"1").status_code == 503
    assert b"".join(first.iter_encoded()) == b"ab"
    first.close()
    assert client.post("/invocations", data=b"1").status_code == 200


def test_stream_that_fails_at_once_is_a_500() -> None:
    def pieces() -> Iterator[bytes]:
        raise ValueError("no first piece")
        yield b"never"

    client = _client(Scripted(lambda request: Response(pieces(), CSV)), threads=1, queue_size=0)
    for _ in range(2):
        assert "no first piece" in _message(client.post("/invocations", data=b"1"), 500)


HEADER_TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80)


@settings(deadline=None)
@given(st.binary(max_size=200), HEADER_TEXT, HEADER_TEXT, HEADER_TEXT)
def test_no_header_whatever_makes_a_5xx(
    body: bytes, content_type: str, accept: str, attributes: str
) -> None:
    headers = {"Content-Type": content_type, "Accept": accept, ATTRIBUTES: attributes}
    answer = CLIENT.post("/invocations", data=body, headers=headers)
    assert answer.status_code < 500


CLIENT = _client()


def test_more_routes_may_be_added() -> None:
    def version(call: Call) -> Reply:
        return Reply(json.dumps({"name": call.variables["name"], **call.query}).encode())

    app = create_app(Scripted(), Settings(), routes=[Route("GET", "/versions/{name}", version)])
    client = Client(app)
    answer = client.get("/versions/a%20b?limit=2")
    assert answer.get_json() == {"name": "a b", "limit": "2"}
    assert _message(client.post("/versions/x"), 405) == "POST is not allowed on /versions/x."
    assert "/versions/{name}" in _message(client.get("/versions/a/b"), 404)
    assert client.get("/ping").status_code == 200


def test_head_is_answered_as_get_without_a_body() -> None:
    answer = _client(Scripted(parameters=ExecutionParameters())).head("/execution-parameters")
    assert (answer.status_code, answer.data) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 0


def test_answer_without_content_has_no_length() -> None:
    handler = Scripted(lambda request: Response(b"", status=204))
    answer = _client(handler).post("/invocations", data=b"1")
    assert answer.status_code == 204
    assert "Content-Length" not in answer.headers

"""Scripts written for the original containers: their imports, errors and responses, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

Start = Callable[..., Any]

# As in the notebooks on inference pipelines: an encoder of scikit-learn's container, a Response.
FEATURIZER = """
    import numpy as np
    from sagemaker_containers.beta.framework import (
        content_types, encoders, env, modules, transformer, worker)

    def model_fn(model_dir):
        return 10

    def input_fn(body, content_type):
        if content_type == content_types.CSV:
            return encoders.decode(body, content_type)
        raise ValueError(f"{content_type} not supported by script!")

    def predict_fn(data, model):
        return np.atleast_2d(data) * model

    def output_fn(prediction, accept):
        if accept == "application/json":
            rows = {"instances": [{"features": row} for row in prediction.tolist()]}
            return worker.Response(json.dumps(rows), mimetype=accept)
        if accept == "text/csv":
            return worker.Response(encoders.encode(prediction, accept), mimetype=accept)
        raise RuntimeError(f"{accept} accept type is not supported by this script.")

    import json
"""

# Each request names what is raised in it.
RAISING = """
    from sagemaker_inference import errors

    class Refusal(errors.BaseInferenceToolkitError):
        pass

    class PredictionException(Exception):
        def __init__(self, message, error_code=500):
            super().__init__(message)
            self.message, self.error_code = message, error_code

    def model_fn(model_dir):
        return None

    def input_fn(body, content_type):
        {
            "format": lambda: fail(errors.UnsupportedFormatError(content_type)),
            "base": lambda: fail(Refusal(422, "no face in the picture", "Unprocessable")),
            "generic": lambda: fail(errors.GenericInferenceToolkitError(404)),
            "mms": lambda: fail(PredictionException("a cat, not a dog", 400)),
            "no status": lambda: fail(errors.GenericInferenceToolkitError("text", "text")),
        }.get(body, str)()
        return body

    def fail(error):
        raise error

    def predict_fn(data, model):
        return data

    def output_fn(prediction, accept):
        raise errors.UnsupportedFormatError(accept)
"""


@pytest.fixture
def serve_script(start_server: Start, model_dir: Path) -> Callable[[str], Any]:
    """A server of this inference.py."""

    def serve(source: str) -> Any:
        (model_dir / "code").mkdir()
        (model_dir / "code" / "inference.py").write_text(dedent(source))
        return start_server().wait_until_ready()

    return serve


def test_a_featurizer_of_an_inference_pipeline_answers(serve_script: Any) -> None:
    server = serve_script(FEATURIZER)
    answer = server.invoke(b"1,2", "text/csv", Accept="text/csv")
    assert (answer.status, answer.body) == (200, b"10.0,20.0\n")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    answer = server.invoke(b"1,2", "text/csv")
    assert json.loads(answer.body) == {"instances": [{"features": [10.0, 20.0]}]}
    assert answer.headers["Content-Type"] == "application/json"
    assert server.invoke(b"1,2", "text/csv", Accept="image/png").status == 500


@pytest.mark.parametrize(
    ("body", "status", "kind", "message"),
    [
        ("format", 415, "UnsupportedMediaTypeException", "Content type text/csv is not supported"),
        ("base", 422, "BadRequestException", "no face in the picture"),
        ("generic", 404, "BadRequestException", "Invalid Request"),
        ("mms", 400, "BadRequestException", "a cat, not a dog"),
        ("no status", 500, "InternalServerException", "GenericInferenceToolkitError"),
        ("", 406, "NotAcceptableException", "Content type application/json is not supported"),
    ],
)
def test_an_error_of_the_originals_says_the_status(
    serve_script: Any, body: str, status: int, kind: str, message: str
) -> None:
    answer = serve_script(RAISING).invoke(body.encode(), "text/csv")
    said = json.loads(answer.body)
    assert (answer.status, said["code"], said["type"]) == (status, status, kind)
    assert message in said["message"]
    assert "Traceback" not in said["message"]


def test_a_response_brings_its_status_type_and_attributes(serve_script: Any) -> None:
    server = serve_script("""
        import flask

        def model_fn(model_dir):
            return None

        def transform_fn(model, body, content_type, accept):
            if body == "stream":
                return flask.Response((part for part in ("a", "b")), mimetype="text/plain")
            headers = {"X-Amzn-SageMaker-Custom-Attributes": "answer=1"}
            return flask.Response("made", 201, headers, mimetype="text/html")
    """)
    answer = server.invoke(b"", "text/csv")
    assert (answer.status, answer.body) == (201, b"made")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["X-Amzn-SageMaker-Custom-Attributes"] == "answer=1"
    assert server.invoke(b"stream", "text/csv").body == b"ab"


def test_a_request_that_names_no_type_is_json(serve_script: Any) -> None:
    server = serve_script("""
        def model_fn(model_dir):
            return 10

        def predict_fn(data, model):
            return data * model
    """)
    answer = server.request("POST", "/invocations", b"[1, 2]")
    assert (answer.status, json.loads(answer.body)) == (200, [10, 20])

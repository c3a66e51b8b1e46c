"""An inference script in the image: what it leaves out is as in the original image."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sagelocal_serve import BadRequest, UnsupportedMediaType
from sagelocal_serve.codecs.npy import encode_npy
from sagelocal_serve.script import ScriptError
from sklearn.linear_model import LinearRegression

PLANE = LinearRegression().fit([[0, 0], [1, 0], [0, 1], [1, 1]], [1, 3, 4, 6])
MODEL_FN = """
import os, joblib

def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "model.joblib"))
"""


@pytest.fixture(autouse=True)
def nothing_stays_imported(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in {"inference", "utils"} & (set(sys.modules) - before):
        del sys.modules[name]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", "1,1\n0,2\n"),
        ("application/json", "[[1, 1], [0, 2]]"),
        ("application/jsonlines", "[1, 1]\n[0, 2]\n"),
    ],
)
def test_a_script_of_model_fn_alone_predicts(model: Any, content_type: str, body: str) -> None:
    model.dump(PLANE).write("code/inference.py", MODEL_FN)

    assert model.ask(body, content_type) == pytest.approx([6, 7])


def test_one_row_is_one_example(model: Any) -> None:
    model.dump(PLANE).write("code/inference.py", MODEL_FN)

    assert model.ask("1,1") == pytest.approx([6])


def test_a_script_without_model_fn_gets_the_saved_model(model: Any) -> None:
    model.dump(PLANE).write(
        "code/inference.py",
        """
        import json

        def output_fn(prediction, accept):
            return json.dumps({"rent": prediction.tolist()}), "application/json"
        """,
    )

    assert model.ask("1,1") == {"rent": pytest.approx([6])}


def test_a_script_without_model_fn_and_without_a_model_is_told_both_ways(model: Any) -> None:
    model.write("code/inference.py", "def predict_fn(data, model):\n    return data\n")

    with pytest.raises(ValueError, match=r"no scikit-learn model among: nothing.*model_fn"):
        model.load()


def test_predict_fn_gets_float32_as_from_the_original(model: Any) -> None:
    model.write(
        "code/inference.py",
        """
        def model_fn(model_dir):
            return None

        def predict_fn(data, model):
            return [str(data.dtype), list(data.shape)]
        """,
    )

    assert model.ask("1,2\n3,4\n") == ["float32", [2, 2]]
    assert model.ask("1,2") == ["float32", [2]]
    assert model.ask("[[1, 2]]", "application/json") == ["float32", [1, 2]]
    assert model.ask(encode_npy(np.eye(2)), "application/x-npy") == ["float64", [2, 2]]


def test_all_four_functions_are_the_scripts_own(model: Any) -> None:
    model.write(
        "code/inference.py",
        """
        import utils

        def model_fn(model_dir):
            return 3

        def input_fn(body, content_type):
            return [content_type, body]

        def predict_fn(data, model):
            return utils.twice(data) + [model]

        def output_fn(prediction, accept):
            return repr(prediction)
        """,
    ).write("code/utils.py", "def twice(data):\n    return data * 2\n")

    assert model.ask("1", "text/csv", "text/csv") == "['text/csv', '1', 'text/csv', '1', 3]"


def test_a_frame_of_the_scripts_own_is_put_in_the_models_order(model: Any) -> None:
    frame = pd.DataFrame({"a": [0.0, 1, 0, 1], "b": [0.0, 0, 1, 1]})
    named = LinearRegression().fit(frame, [1, 3, 4, 6])
    model.dump(named).write(
        "code/inference.py",
        """
        import io
        import pandas as pd

        def input_fn(body, content_type):
            return pd.read_csv(io.StringIO(body))
        """,
    )

    assert model.ask("b,a\n0,1\n") == pytest.approx([3])


def test_transform_fn_stands_for_the_other_three(model: Any) -> None:
    model.dump(PLANE).write(
        "code/inference.py",
        """
        def transform_fn(model, body, content_type, accept):
            return str(model.predict([[1, 1]])[0].round()), "text/csv"
        """,
    )

    assert model.ask("anything") == "6.0"


@pytest.mark.parametrize(
    ("content_type", "body", "said"),
    [
        ("text/csv", "1,two\n", "Row 1, column 2 of the CSV body is 'two', no number"),
        ("text/csv", "1\n", "takes rows of 2 features"),
        ("application/json", '[["a", "b"]]', "could not convert string to float"),
        ("text/csv", "", "empty body"),
    ],
)
def test_bad_input_is_the_callers_fault(
    model: Any, content_type: str, body: str, said: str
) -> None:
    model.dump(PLANE).write("code/inference.py", MODEL_FN)

    with pytest.raises(BadRequest) as refused:
        model.ask(body, content_type)

    assert said in refused.value.message


def test_a_type_that_nobody_reads_is_a_415(model: Any) -> None:
    model.dump(PLANE).write("code/inference.py", MODEL_FN)

    with pytest.raises(UnsupportedMediaType):
        model.ask("1,1", "application/x-tar")


def test_a_script_with_a_syntax_error_is_not_loaded(model: Any) -> None:
    model.dump(PLANE).write("code/inference.py", "def model_fn(:\n")

    with pytest.raises(SyntaxError):
        model.load()


def test_a_program_that_is_not_there_is_named(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAGEMAKER_PROGRAM", "serve_rents.py")
    model.dump(PLANE)

    with pytest.raises(ScriptError, match=r"no serve_rents\.py"):
        model.load()

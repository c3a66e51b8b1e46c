"""A model without a script: every way to ask it, and what it says of what it cannot take."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sagelocal_serve import BadRequest, NotAcceptable, UnsupportedMediaType
from sagelocal_serve.codecs.npy import decode_npy, encode_npy
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

IRIS, SPECIES = load_iris(return_X_y=True)
LOGISTIC = LogisticRegression(max_iter=1000).fit(IRIS, SPECIES)
# y = 2 a + 3 b + 1
PLANE = LinearRegression().fit([[0, 0], [1, 0], [0, 1], [1, 1]], [1, 3, 4, 6])

PEOPLE = pd.DataFrame({"age": [25, 32, 47, 51], "city": ["Oslo", "Rome", "Oslo", "Rome"]})
RENTS = make_pipeline(
    make_column_transformer(
        (StandardScaler(), ["age"]), (OneHotEncoder(handle_unknown="ignore"), ["city"])
    ),
    LinearRegression(),
).fit(PEOPLE, [10.0, 20.0, 12.0, 22.0])
ASKED = pd.DataFrame({"age": [32, 47], "city": ["Rome", "Oslo"]})
RENTS_ASKED = RENTS.predict(ASKED).tolist()


def npz(rows: list[list[float]]) -> bytes:
    """A sparse matrix as scipy saves it."""
    stream = io.BytesIO()
    sparse.save_npz(stream, sparse.csr_matrix(rows))
    return stream.getvalue()


def test_rows_of_csv_are_predicted_as_in_the_notebook(model: Any) -> None:
    text = "".join(",".join(map(str, row)) + "\n" for row in IRIS)

    assert model.dump(LOGISTIC).ask(text) == LOGISTIC.predict(IRIS).tolist()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", "1,1\n0,2\n"),
        ("text/csv; charset=utf-8", "1, 1\r\n0, 2"),
        ("application/json", "[[1, 1], [0, 2]]"),
        ("application/json", '{"instances": [[1, 1], [0, 2]]}'),
        ("application/json", '[{"a": 1, "b": 1}, {"a": 0, "b": 2}]'),
        ("application/json", '{"columns": ["a", "b"], "data": [[1, 1], [0, 2]]}'),
        ("application/json", '{"a": [1, 0], "b": [1, 2]}'),
        ("application/jsonlines", "[1, 1]\n[0, 2]\n"),
        ("application/jsonlines", '{"a": 1, "b": 1}\n{"a": 0, "b": 2}\n'),
        ("application/x-npy", encode_npy(np.array([[1, 1], [0, 2]]))),
        ("application/x-npz", npz([[1, 1], [0, 2]])),
        ("text/libsvm", "0 0:1 1:1\n0 1:2\n"),
    ],
)
def test_two_rows_in_every_format(model: Any, content_type: str, body: str | bytes) -> None:
    assert model.dump(PLANE).ask(body, content_type) == pytest.approx([6, 7])


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("text/csv", "1,1"), ("application/json", "[1, 1]"), ("application/json", '{"a":1,"b":1}')],
)
def test_one_row_needs_no_brackets(model: Any, content_type: str, body: str) -> None:
    assert model.dump(PLANE).ask(body, content_type) == pytest.approx([6])


def test_a_list_is_a_column_for_a_model_of_one_feature(model: Any) -> None:
    doubled = LinearRegression().fit([[0], [1]], [0, 2])

    assert model.dump(doubled).ask("[1, 2, 3]", "application/json") == pytest.approx([2, 4, 6])
    assert model.ask("1\n2\n3\n") == pytest.approx([2, 4, 6])


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", "32,Rome\n47,Oslo\n"),
        ("text/csv", "age,city\n32,Rome\n47,Oslo\n"),
        ("text/csv", 'city,"age",rent\r\nRome,32,?\r\n"Oslo",47,?\r\n'),
        ("application/json", ASKED.to_json(orient="records")),
        ("application/json", ASKED.to_json(orient="split")),
        ("application/json", ASKED.to_json()),
        ("application/json", '{"instances": [[32, "Rome"]]}'),
        ("application/jsonlines", ASKED.to_json(orient="records", lines=True)),
        ("application/x-parquet", ASKED.to_parquet()),
    ],
)
def test_a_pipeline_of_named_columns_takes_tables(
    model: Any, content_type: str, body: str | bytes
) -> None:
    answer = model.dump(RENTS).ask(body, content_type)

    assert answer == pytest.approx(RENTS_ASKED[: len(answer)])
    assert answer


def test_numbers_alone_get_the_names_of_their_columns(model: Any) -> None:
    frame = pd.DataFrame(IRIS, columns=["a", "b", "c", "d"])
    named = LogisticRegression(max_iter=1000).fit(frame, SPECIES)

    assert model.dump(named).ask("5.1,3.5,1.4,0.2\n") == [0]  # a warning would be an error here
    assert model.ask("[5.1, 3.5, 1.4, 0.2]", "application/json") == [0]


def test_an_empty_cell_is_a_missing_value(model: Any) -> None:
    with pytest.raises(BadRequest, match="Input X contains NaN"):
        model.dump(PLANE).ask("1,\n")


def test_documents_are_classified(model: Any) -> None:
    moods = make_pipeline(TfidfVectorizer(), LogisticRegression())
    moods.fit(["good day", "bad day"], ["glad", "sad"])

    assert model.dump(moods).ask('["a good one", "a bad one"]', "application/json") == [
        "glad",
        "sad",
    ]
    assert model.ask('"a good, fine one"\na bad one\n') == ["glad", "sad"]
    assert model.ask('{"text": "a bad one"}', "application/json") == ["sad"]


def test_an_array_of_text_is_predicted_from_csv(model: Any) -> None:
    rows = np.array([["red", "small"], ["blue", "big"]], dtype=object)
    prices = make_pipeline(OneHotEncoder(), LinearRegression()).fit(rows, [1.0, 2.0])

    assert model.dump(prices).ask("red,small\nblue,big\n") == pytest.approx([1, 2])


def test_answers_in_every_format(model: Any) -> None:
    model.dump(LOGISTIC)

    assert model.ask("5.1,3.5,1.4,0.2", accept="text/csv") == "0\n"
    assert model.ask("5.1,3.5,1.4,0.2", accept="application/jsonlines") == b"0\n"
    assert decode_npy(model.ask("5.1,3.5,1.4,0.2", accept="application/x-npy")).tolist() == [0]
    with pytest.raises(NotAcceptable, match="application/json"):
        model.ask("5.1,3.5,1.4,0.2", accept="image/png")


def test_labels_of_text_fit_into_npy(model: Any) -> None:
    named = LogisticRegression(max_iter=1000).fit(IRIS, np.array(["a", "b", "c"], object)[SPECIES])

    answer = model.dump(named).ask("5.1,3.5,1.4,0.2", accept="application/x-npy")

    assert decode_npy(answer).tolist() == ["a"]


def test_the_setting_names_another_method(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_SERVER_PREDICT_METHOD", "predict_proba")

    (answer,) = model.dump(LOGISTIC).ask("5.1,3.5,1.4,0.2")

    assert answer == pytest.approx(LOGISTIC.predict_proba([[5.1, 3.5, 1.4, 0.2]])[0])


def test_several_outputs_are_several_lists(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_SERVER_PREDICT_METHOD", "predict_proba")
    both = MultiOutputClassifier(LogisticRegression()).fit([[0.0], [1.0]], [[0, 1], [1, 0]])

    first, second = model.dump(both).ask("0.5")

    assert np.shape(first) == np.shape(second) == (1, 2)


@pytest.mark.parametrize(
    ("method", "said"),
    [("predict_proba", "a LinearRegression, has predict"), ("fit", "none of the methods")],
)
def test_a_method_that_is_not_there_is_said_when_the_model_is_loaded(
    model: Any, monkeypatch: pytest.MonkeyPatch, method: str, said: str
) -> None:
    monkeypatch.setenv("MODEL_SERVER_PREDICT_METHOD", method)

    with pytest.raises(ValueError, match=said):
        model.dump(PLANE).load()


def test_a_model_that_only_transforms_does_that(model: Any) -> None:
    scaler = StandardScaler().fit([[0.0], [2.0]])

    assert model.dump(scaler).ask("1\n2\n") == [[0.0], [1.0]]


def test_a_sparse_result_is_written_out(model: Any) -> None:
    encoder = OneHotEncoder().fit(np.array([["a"], ["b"]], dtype=object))

    assert model.dump(encoder).ask('[["b"]]', "application/json") == [[0.0, 1.0]]


def test_clusters_have_numbers(model: Any) -> None:
    clusters = KMeans(2, n_init=1, random_state=0).fit([[0.0], [9.0]])

    near, far = model.dump(clusters).ask("1\n8\n")

    assert {near, far} == {0, 1}


BAD = [
    ("text/csv", "1,2,3\n", "shape (1, 3); the model takes rows of 2 features"),
    ("text/csv", "1,2\n3\n", "Row 2 of the CSV body has width 1, those before it 2"),
    ("text/csv", "1,two\n", "Row 1, column 2 of the CSV body is 'two', no number"),
    ("text/csv", "\n", "no rows"),
    ("application/json", "[[1, 2]", "is not JSON"),
    ("application/json", "[[1, 2], [3]]", "unequal lengths"),
    ("application/json", '[[1, "two"]]', "could not convert string to float"),
    ("application/json", "[[1, null]]", "cannot take this input"),
    ("application/json", "{}", "empty JSON object"),
    ("application/json", "[]", "takes rows of 2 features"),
    ("application/json", "null", "takes rows of 2 features"),
    ("application/json", '[{"a": 1}, 2]', "some are not"),
    ("application/json", '{"columns": ["a"], "data": [[1, 2]]}', "is not a table"),
    ("application/json", '[[{"a": 1}, {}]]', "a JSON object in the place of a value"),
    ("application/x-npy", "no array", "not an .npy file"),
    ("application/x-npz", npz([[1, 2, 3]]), "takes rows of 2 features"),
    ("application/x-parquet", "no table", "is not a table"),
]


@pytest.mark.parametrize(("content_type", "body", "said"), BAD)
def test_what_the_model_cannot_take_is_the_callers_fault(
    model: Any, content_type: str, body: str | bytes, said: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        model.dump(PLANE).ask(body, content_type)

    assert said in refused.value.message


@pytest.mark.parametrize(
    ("content_type", "body", "said"),
    [
        ("text/csv", "1,2,3\n", "width 3; the model has 2 columns: age, city"),
        ("text/csv", "32,Rome\n47\n", "Row 2 of the CSV body has width 1"),
        ("text/csv", "age,city\n32\n", "width 1; its header has 2 columns"),
        ("application/json", '[{"age": 32}]', "no column 'city'; it has 'age'"),
        ("application/json", "[[32]]", "the model takes rows of 2 features: age, city"),
    ],
)
def test_columns_that_do_not_fit_are_named(
    model: Any, content_type: str, body: str, said: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        model.dump(RENTS).ask(body, content_type)

    assert said in refused.value.message


def test_a_type_that_nobody_reads_is_a_415(model: Any) -> None:
    with pytest.raises(UnsupportedMediaType, match="application/x-tar"):
        model.dump(PLANE).ask("1,1", "application/x-tar")


def test_a_large_parquet_of_numbers_is_predicted(model: Any) -> None:
    frame = pd.DataFrame(np.tile(IRIS, (10, 1)), columns=list("abcd"))
    stream = io.BytesIO()
    frame.to_parquet(stream)

    answer = model.dump(LOGISTIC).ask(stream.getvalue(), "application/x-parquet")

    assert answer == LOGISTIC.predict(frame.to_numpy()).tolist()
    assert json.dumps(answer)

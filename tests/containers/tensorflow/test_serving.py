"""SavedModels without a script: TensorFlow Serving's shapes over real models and HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def endpoint(with_models: Callable[..., Any]) -> Any:
    """One endpoint with all of the models, and a default among them."""
    container = with_models("half_plus_two", "sums", "texts", "network", "whole")
    container.variables["SAGEMAKER_TFS_DEFAULT_MODEL_NAME"] = "half_plus_two"
    return container.serve()


def test_instances_are_answered_by_predictions_of_the_newest_version(endpoint: Any) -> None:
    answer = endpoint.raw({"instances": [1.0, 2.0, 5.0]}, "application/json")

    assert answer == (200, '{"predictions":[2.7,3.2,4.7]}', "application/json")


def test_inputs_are_answered_by_outputs(endpoint: Any) -> None:
    assert endpoint.ask({"inputs": [1.0, 2.0]}) == (200, {"outputs": [2.7, 3.2]})
    assert endpoint.ask({"inputs": {"x": [1.0]}}) == (200, {"outputs": [2.7]})


def test_a_model_and_a_version_are_named_by_custom_attributes(endpoint: Any) -> None:
    body = {"instances": [1.0]}

    old = endpoint.attributes("tfs-model-name=half_plus_two,tfs-model-version=123", body)
    network = endpoint.attributes("mine=1,tfs-model-name=network", {"instances": [[1, 2, 3]]})

    assert old == (200, {"predictions": [2.5]})
    assert network == (200, {"predictions": [[4.0, -1.0]]})


def test_several_inputs_and_outputs_are_objects(endpoint: Any) -> None:
    rows = {"instances": [{"a": 1.5, "b": 1}, {"a": 2.5, "b": 3}]}
    columns = {"inputs": {"a": [1.5, 2.5], "b": [1, 3]}}

    assert endpoint.attributes("tfs-model-name=sums", rows) == (
        200,
        {"predictions": [{"difference": 0, "sum": 2.5}, {"difference": -1, "sum": 5.5}]},
    )
    assert endpoint.attributes("tfs-model-name=sums", columns) == (
        200,
        {"outputs": {"difference": [0, -1], "sum": [2.5, 5.5]}},
    )


def test_texts_and_bytes(endpoint: Any) -> None:
    status, answer = endpoint.attributes(
        "tfs-model-name=texts", {"instances": ["grün", {"b64": "YWJj"}]}
    )

    assert status == 200
    assert answer["predictions"][1] == {"upper": "ABC", "upper_bytes": {"b64": "QUJD"}}


def test_examples_are_classified_and_regressed(endpoint: Any) -> None:
    examples = [{"x": 1.0}, {"x": [2.0]}]
    regress = {"signature_name": "tensorflow/serving/regress", "examples": examples}
    classify = {"signature_name": "labelled", "examples": [{}, {}], "context": {"x": 4.0}}

    assert endpoint.attributes("tfs-method=regress", regress) == (200, {"results": [2.7, 3.2]})
    assert endpoint.attributes("tfs-method=classify", classify) == (
        200,
        {"results": [[["high", 4.2]]] * 2},
    )


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", "[[1.0], [2.0]]"),
        ("application/json; charset=utf-8", '[{"x": 1.0}]'),
        ("application/jsonlines", "1.0\n2.0\n"),
        ("application/jsons", '{"x": 1.0}\n{"x": 2.0}'),
        ("text/csv", "1.0\n2.0"),
    ],
)
def test_simplified_bodies_become_instances(endpoint: Any, content_type: str, body: str) -> None:
    status, answer = endpoint.ask(body, content_type)

    if body.startswith("[["):  # a list of lists is several instances, of one value each
        assert (status, answer) == (200, {"predictions": [[2.7], [3.2]]})
    elif body.startswith("[{"):  # as the original: a list is one instance, also of objects
        assert status == 400
    else:
        assert (status, answer) == (200, {"predictions": [2.7, 3.2]})


def test_the_graph_decides_which_shapes_it_takes(endpoint: Any) -> None:
    """As with TensorFlow Serving: the signature names [-1], and sums and products take any."""
    assert endpoint.ask({"instances": [[1.0, 2.0], [3.0, 4.0]]}) == (
        200,
        {"predictions": [[2.7, 3.2], [3.7, 4.2]]},
    )
    assert endpoint.ask({"inputs": 1.0}) == (200, {"outputs": 2.7})


def test_one_row_of_csv_is_one_instance(endpoint: Any) -> None:
    header = {"X_Amzn_SageMaker_Custom_Attributes": "tfs-model-name=network"}

    assert endpoint.ask("1,2,3\n0,0,1", "text/csv", **header) == (
        200,
        {"predictions": [[4.0, -1.0], [1.0, -1.0]]},
    )


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/jsonlines", "application/jsonlines"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "application/json"),
    ],
)
def test_the_answer_is_json_on_one_line(endpoint: Any, accept: str, content_type: str) -> None:
    status, text, found = endpoint.raw({"instances": [1.0]}, "application/json", Accept=accept)

    assert (status, found) == (200, content_type)
    assert text == '{"predictions":[2.7]}'


def test_numbers_that_json_has_no_form_for_come_back(endpoint: Any) -> None:
    assert endpoint.raw('{"instances": [NaN, 1.0]}', "application/json")[:2] == (
        200,
        '{"predictions": [NaN, 2.7]}',
    )


@pytest.mark.parametrize(
    ("attributes", "body", "status", "said"),
    [
        ("", {"signature_name": "absent", "instances": [1.0]}, 400, '"absent" not found'),
        ("", {"signature_name": "absent", "instances": [1.0]}, 400, "labelled, serving_default"),
        ("", {"signature_name": 3, "instances": [1.0]}, 400, "must be a string"),
        ("", {"instances": ["one"]}, 400, 'JSON Value: "one" Type: String is not of expected'),
        ("", {"instances": [True]}, 400, "DT_FLOAT"),
        ("", {"instances": [[1.0], [2.0, 3.0]]}, 400, "lists of different lengths"),
        ("", {"instances": []}, 400, "No values in 'instances'"),
        ("", {"instances": 1.0}, 400, "to be an list/array"),
        ("", {"instances": [1.0], "inputs": [1.0]}, 400, "only one of"),
        ("", {"instances": [{"z": 1.0}]}, 400, "keys must be equal to: x"),
        ("", {"junk": "data"}, 400, "Failed to process element: 0 key: junk of 'instances' list."),
        ("", {"examples": [{"x": 1.0}]}, 400, "Missing 'inputs' or 'instances'"),
        ("", '{"instances": [1.0', 400, "JSON Parse error"),
        ("", " ", 400, "document is empty"),
        ("tfs-model-name=network", {"instances": [[1.0, 2.0]]}, 400, "shape [-1, 3], DT_FLOAT"),
        ("tfs-model-name=sums", {"instances": [1.0]}, 400, "a, b"),
        ("tfs-model-name=sums", {"inputs": {"a": [1.0]}}, 400, "Missing named input: b"),
        ("tfs-model-name=sums", {"instances": [{"a": 1, "b": 1.5}]}, 400, "DT_INT32"),
        ("tfs-model-name=texts", {"instances": [{"b64": "?"}]}, 400, "base64"),
        ("tfs-model-name=whole", {"instances": [1.0]}, 400, "no shape information"),
        ("tfs-model-name=absent", {"instances": [1.0]}, 404, "Latest(absent)"),
        ("tfs-model-version=7", {"instances": [1.0]}, 404, "versions are: 123, 124"),
        ("tfs-method=explain", {"instances": [1.0]}, 400, "no method 'explain'"),
        ("tfs-method=regress", {"examples": [{"x": 1.0}]}, 400, "Was: tensorflow/serving/predict"),
        ("tfs-method=classify", {"signature_name": "labelled"}, 400, "'examples' is expected"),
        (
            "tfs-method=classify",
            {"signature_name": "labelled", "examples": [{"y": 1.0}]},
            400,
            "Feature: x",
        ),
    ],
)
def test_what_the_caller_did_wrong_is_said_with_the_next_step(
    endpoint: Any, attributes: str, body: Any, status: int, said: str
) -> None:
    found, answer = endpoint.attributes(attributes, body)

    assert found == status, answer
    assert list(answer) == ["error"]
    assert said in answer["error"]


def test_a_type_that_nobody_reads_is_refused(endpoint: Any) -> None:
    status, answer = endpoint.ask("<a/>", "application/xml")

    assert status == 415
    assert answer["error"].startswith("Unsupported Media Type: application/xml")


def test_one_value_for_the_whole_batch_comes_in_columns(endpoint: Any) -> None:
    answer = endpoint.attributes("tfs-model-name=whole", {"inputs": [1.0, 2.5]})

    assert answer == (200, {"outputs": 3.5})


def test_an_archive_without_a_saved_model_says_what_to_do(
    new_container: Callable[[], Any], models: Any
) -> None:
    container = new_container()
    (container.base / "model" / "network.keras").write_bytes(
        (models / "network.keras").read_bytes()
    )

    status, text = container.serve().get("/ping")

    assert status == 500
    said = json.loads(text)["message"]
    assert "no SavedModel bundles found! The model archive holds network.keras" in said
    assert "model.export" in said

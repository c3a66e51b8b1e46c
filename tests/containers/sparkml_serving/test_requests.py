"""Bodies, schemas, answers and refusals of the SparkML serving image."""

from __future__ import annotations

import json
from typing import Any

import pytest

SCHEMA = {
    "input": [
        {"name": "sex", "type": "string"},
        {"name": "length", "type": "double"},
        {"name": "rings", "type": "int", "struct": "basic"},
    ],
    "output": {"name": "all", "type": "double", "struct": "vector"},
}
LINES, AS_TEXT = "application/jsonlines", "application/jsonlines;data=text"


@pytest.fixture
def pipeline(bundle: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An index for the sex, beside the numbers; the schema is in the environment."""
    bundle.add("string_indexer", "sex", "index", labels=["M", "F"])
    ports = {"input0": "index", "input1": "length", "input2": "rings"}
    bundle.add("vector_assembler", ports, "all")
    monkeypatch.setenv("SAGEMAKER_SPARKML_SCHEMA", json.dumps(SCHEMA))
    return bundle


@pytest.mark.parametrize(
    ("accept", "text", "content_type"),
    [
        ("", "1.0,0.5,9.0", "text/csv"),
        ("*/*", "1.0,0.5,9.0", "text/csv"),
        ("text/csv", "1.0,0.5,9.0", "text/csv"),
        (LINES, '{"features":[1.0,0.5,9.0]}', LINES),
        (AS_TEXT, '{"source":"1.0 0.5 9.0"}', LINES),
    ],
)
def test_the_answer_has_the_format_that_is_accepted(
    pipeline: Any, accept: str, text: str, content_type: str
) -> None:
    assert pipeline.ask("F,0.5,9\n", "text/csv", accept) == (200, text, content_type)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("F,0.5,9", "text/csv"),
        ('{"data": ["F", 0.5, 9]}', "application/json"),
        ('{"data": ["F", "0.5", "9"]}', "application/json"),
        ('{"data": [["F", 0.5, 9]]}', "application/json"),
        (json.dumps({"schema": SCHEMA, "data": ["F", 0.5, 9]}), "application/json; charset=utf-8"),
        ('{"data": ["F", 0.5, 9]}\n', LINES),
    ],
)
def test_a_row_may_come_in_any_format(pipeline: Any, body: str, content_type: str) -> None:
    assert pipeline.ask(body, content_type)[:2] == (200, "1.0,0.5,9.0")


def test_each_line_is_answered_by_one(pipeline: Any) -> None:
    header = json.dumps({"schema": SCHEMA, "data": ["M", 0.25, 1]})

    assert pipeline.ask("F,0.5,9\nM,0.25,1\n", "text/csv")[1] == "1.0,0.5,9.0\n0.0,0.25,1.0"
    assert pipeline.ask(f'{header}\n{{"data": ["F", 1, 2]}}', LINES, LINES)[1] == (
        '{"features":[0.0,0.25,1.0]}\n{"features":[1.0,1.0,2.0]}'
    )


def test_the_schema_of_a_request_goes_first_and_one_value_is_bare(pipeline: Any) -> None:
    schema = SCHEMA | {"output": {"name": "index", "type": "double"}}
    body = {"schema": schema, "data": ["F", 0.5, 9]}

    assert pipeline.ask(body) == (200, "1.0", "text/csv")
    assert pipeline.ask(body, accept=LINES) == (200, "1.0", LINES)


def test_an_empty_body_is_answered_by_nothing(pipeline: Any) -> None:
    assert pipeline.ask("", "text/csv")[:2] == (204, "")


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "said"),
    [
        ("F,0.5", "text/csv", "", "The row has 2 values; the schema has 3 columns"),
        ("F,half,9", "text/csv", "", "For input string: \"half\". The column 'length'"),
        ("F,0.5,9.5", "text/csv", "", "The column 'rings' is of type int"),
        ("F,0.5,3000000000", "text/csv", "", "does not fit the type int"),
        ("X,0.5,9", "text/csv", "", "Unseen label: X"),
        ("F,0.5,9", "text/csv", "application/json", "Accept value passed via request"),
        ('{"data": ', "application/json", "", "The body is no JSON"),
        ('{"rows": []}', "application/json", "", 'no list "data"'),
        ('{"data": ["F", null, 9]}', "application/json", "", "The column 'length' is null"),
        ('{"schema": {"input": 1}, "data": []}', "application/json", "", "The schema is no object"),
    ],
)
def test_what_is_wrong_is_a_400_with_the_reason_alone(
    pipeline: Any, body: str, content_type: str, accept: str, said: str
) -> None:
    status, text, kind = pipeline.ask(body, content_type, accept)

    assert (status, kind) == (400, "text/plain")
    assert said in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"output": {"name": "absent", "type": "double"}}, "There is no column 'absent'"),
        ({"output": {"name": "all", "type": "double"}}, 'add "struct": "vector"'),
        ({"output": {"name": "index", "type": "int"}}, "is of type double"),
        ({"output": {"name": "index", "type": "complex"}}, "Given type is not supported"),
        ({"output": {"name": "sex", "type": "string", "struct": "array"}}, "leave its struct out"),
        ({"input": [{"name": "sex", "type": "string", "struct": "map"}]}, "is none of basic"),
    ],
)
def test_a_schema_that_does_not_fit_says_how(
    pipeline: Any, change: dict[str, Any], said: str
) -> None:
    status, text, _ = pipeline.ask({"schema": SCHEMA | change, "data": ["F", 0.5, 9]})

    assert status == 400
    assert said in text


def test_without_a_schema_the_request_is_refused(
    pipeline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SAGEMAKER_SPARKML_SCHEMA")

    status, text, _ = pipeline.ask("F,0.5,9", "text/csv")

    assert status == 400
    assert text.startswith("Input schema has to be provided")


def test_batch_transform_is_told_to_send_single_records(pipeline: Any) -> None:
    pipeline.save().load()
    parameters = pipeline.handler.execution_parameters().to_wire()

    assert parameters["BatchStrategy"] == "SINGLE_RECORD"
    assert parameters["MaxPayloadInMB"] == 5

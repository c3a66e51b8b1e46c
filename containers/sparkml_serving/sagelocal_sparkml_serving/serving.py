"""What `serve` runs in the SparkML serving image: requests and answers as the original's.

    text/csv                     one row (here: one in each line), by the schema's order
    application/json             {"schema": optional, "data": [...]}
    application/jsonlines        such an object in each line

    Accept text/csv (default)               1.0,2.0
    Accept application/jsonlines            {"features":[1.0,2.0]}
    Accept application/jsonlines;data=text  {"source":"1.0 2.0"}

An answer of one value is that value alone in each of them. Whatever is wrong is a 400 whose body is
the reason.
"""

from __future__ import annotations

import csv
import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sagelocal_serve import (
    Accept,
    ExecutionParameters,
    Handler,
    MediaType,
    ModelError,
    Request,
    Response,
)
from sagelocal_serve.charset import decode_text
from sagelocal_serve.cpus import usable_cpus
from sagelocal_serve.errors import ServeError, UnsupportedMediaType
from sagelocal_serve.media_type import CSV, JSON, JSON_LINES

from sagelocal_sparkml_serving import java
from sagelocal_sparkml_serving.faults import Refused
from sagelocal_sparkml_serving.pipeline import Pipeline, load
from sagelocal_sparkml_serving.schema import BASIC, VARIABLE, Schema

log = logging.getLogger("sagelocal_serve")

KINDS = (CSV, JSON, JSON_LINES)
TEXT = "text/plain"
MAX_PAYLOAD_IN_MB = 5

_DATA, _AS_TEXT = "data", "text"


def app() -> Handler:
    """The handler that `serve` runs."""
    return SparkMLHandler()


class SparkMLHandler:
    """One pipeline; its arrays are shared by all workers."""

    shares_memory = True

    def __init__(self) -> None:
        self._pipeline: Pipeline | None = None

    def prepare(self, model_dir: Path) -> None:
        """Nothing is to be done before the pipeline is read."""

    def load(self, model_dir: Path) -> None:
        self._pipeline = load(model_dir)

    def handle(self, request: Request) -> Response:
        if self._pipeline is None:
            raise ModelError("No model is loaded.")
        kind = request.content_type.canonical
        if kind not in KINDS:
            raise UnsupportedMediaType.of(request.content_type, KINDS)
        if not request.body:
            return Response(b"", status=204)
        try:
            answer = _answer_type(request.accept)
            text = decode_text(request.body, request.content_type)
            found = [
                (schema, schema.answer(self._pipeline.run(schema.row(data))))
                for schema, data in _rows(text, kind)
            ]
        except Refused as refused:
            return _refusal(str(refused))
        except ServeError as error:
            return _refusal(error.message)
        lines = [_written(schema, value, answer) for schema, value in found]
        named = MediaType.parse(CSV if answer.canonical == CSV else JSON_LINES)
        return Response("\n".join(lines).encode(), named)

    def execution_parameters(self) -> ExecutionParameters | None:
        """What the original says to batch transform."""
        return ExecutionParameters(usable_cpus(), "SINGLE_RECORD", MAX_PAYLOAD_IN_MB)


def _answer_type(accept: Accept) -> MediaType:
    if accept.is_anything:
        return MediaType.parse(CSV)
    chosen = accept.choose((CSV, JSON_LINES))
    if chosen is None:
        raise Refused(
            f"Accept value passed via request or environment variable is not valid: {accept}. "
            f"Valid are {CSV}, {JSON_LINES} and {JSON_LINES};data=text."
        )
    return chosen


def _rows(text: str, kind: str) -> Iterator[tuple[Schema, list[Any]]]:
    """Each row of the body with the schema that counts for it; raises Refused."""
    if kind == CSV:
        schema = _schema(None)
        lines = [line for line in text.splitlines() if line.strip()]
        for row in csv.reader(lines):
            yield schema, list(row)
        return
    documents = [text] if kind == JSON else [line for line in text.splitlines() if line.strip()]
    given: Any = None
    for document in documents:
        written = _object(document)
        # The schema of the first line counts for those below it.
        given = written.get("schema") or given
        if _DATA not in written and kind == JSON_LINES and "schema" in written:
            continue
        data = written.get(_DATA)
        if not isinstance(data, list):
            raise Refused('The body has no list "data" with a value for each column.')
        schema = _schema(given)
        if _is_rows(data, schema):
            yield from ((schema, row) for row in data)
        else:
            yield schema, data


def _is_rows(data: list[Any], schema: Schema) -> bool:
    """Whether the data is a list of rows: lists where the first column is none."""
    basic = not schema.inputs or schema.inputs[0].struct == BASIC
    return bool(data) and basic and all(isinstance(each, list) for each in data)


def _object(text: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused(f"The body is no JSON: {error}.") from error
    if not isinstance(document, dict):
        raise Refused('The body is no JSON object with "data" in it.')
    return document


def _schema(given: Any) -> Schema:
    schema = given or os.environ.get(VARIABLE)
    if not schema:
        raise Refused(
            "Input schema has to be provided either via environment variable or via the request: "
            f'set {VARIABLE}, or send {{"schema": ..., "data": ...}}.'
        )
    return Schema.parse(schema)


def _written(schema: Schema, value: Any, answer: MediaType) -> str:
    if schema.output.struct == BASIC:
        return java.text(value)
    if answer.canonical == CSV:
        return ",".join(map(java.text, value))
    if answer.parameter(_DATA) == _AS_TEXT:
        return json.dumps({"source": " ".join(map(java.text, value))}, separators=(",", ":"))
    items = (json.dumps(each) if isinstance(each, str) else java.text(each) for each in value)
    return '{"features":[' + ",".join(items) + "]}"


def _refusal(message: str) -> Response:
    log.info("A request was refused: %s", message)
    return Response(message.encode(), MediaType.parse(TEXT), status=400)

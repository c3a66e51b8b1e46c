"""From the bodies that SageMaker's clients send to the one that TensorFlow Serving reads.

application/json         as it is if it has "instances", "inputs" or "examples"; else one instance,
                         or several if it is a list of lists
application/jsonlines    an instance in each line
text/csv                 an instance in each line: a list, or one value where there is no comma

These are the original's rules (SageMaker Python SDK, "Deploying to TensorFlow Serving Endpoints",
"Other input formats").
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from typing import Any

import orjson
from sagelocal_serve.media_type import CSV, JSON, JSON_LINES

from sagelocal_tensorflow.faults import Refused

JSONS = "application/jsons"
KINDS = (JSON, JSON_LINES, JSONS, CSV)
KEYS = ("instances", "inputs", "examples")
EMPTY = "JSON Parse error: The document is empty. Send at least one instance."

# The first field decides for all: a quotation mark or something like a number.
_NUMBERS_OR_QUOTED = re.compile(r'\s*(?:"|[\d.Ee+\-]+)')
_SHOWN = 60


def read(text: str, kind: str) -> Mapping[str, Any]:
    """The request of TensorFlow Serving's REST API; `kind` is one of KINDS. Raises Refused."""
    if not text.strip():
        raise Refused(EMPTY)
    if kind == CSV:
        return {"instances": _csv_rows(text)}
    try:
        document = parse(text)
    except ValueError as error:
        lines = text.strip().splitlines()
        if len(lines) == 1:
            raise Refused(f"JSON Parse error: {error}. The body begins {_shown(text)}.") from error
        return {"instances": [_line(line, number) for number, line in _numbered(lines)]}
    if isinstance(document, dict) and any(key in document for key in KEYS):
        return document
    if isinstance(document, list) and document and isinstance(document[0], list):
        return {"instances": document}
    return {"instances": [document]}


def parse(text: str | bytes) -> Any:
    """A JSON document; NaN and infinities too, as TensorFlow Serving. Raises ValueError."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        try:
            return json.loads(text)
        except RecursionError:
            raise error from None


def _numbered(lines: list[str]) -> list[tuple[int, str]]:
    return [(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _line(line: str, number: int) -> Any:
    try:
        return parse(line)
    except ValueError as error:
        raise Refused(
            f"JSON Parse error: line {number} is no JSON: {error}. It begins {_shown(line)}."
        ) from error


def _csv_rows(text: str) -> list[Any]:
    lines = _numbered(text.strip().splitlines())
    if _NUMBERS_OR_QUOTED.match(text):
        return [_csv_numbers(line.strip(), number) for number, line in lines]
    rows = csv.reader((line.strip() for _, line in lines), skipinitialspace=True)
    return [row if len(row) > 1 else row[0] for row in rows]


def _csv_numbers(line: str, number: int) -> Any:
    try:
        return parse(f"[{line}]" if "," in line else line)
    except ValueError as error:
        raise Refused(
            f"Line {number} of the CSV body is not a list of numbers or quoted texts: "
            f"{_shown(line)}. Send no header, and text in quotation marks."
        ) from error


def _shown(text: str) -> str:
    start = text.strip()
    return repr(start if len(start) <= _SHOWN else start[:_SHOWN] + "…")

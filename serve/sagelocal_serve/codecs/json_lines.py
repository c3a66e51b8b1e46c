"""application/jsonlines: one JSON value per line, blank lines skipped."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sagelocal_serve.charset import lines_of
from sagelocal_serve.codecs.json_text import decode_json, plain
from sagelocal_serve.errors import BadRequest


def decode_json_lines(text: str) -> list[Any]:
    """The values in order; raises BadRequest naming the line, counted from 1."""
    values = [
        decode_json(line, f"Line {number} of the body")
        for number, line in enumerate(lines_of(text), 1)
        if line.strip()
    ]
    if not values:
        raise BadRequest("The JSON Lines body has no lines.")
    return values


def encode_json_lines(values: Iterable[Any]) -> bytes:
    """One line for each value."""
    return "".join(json.dumps(value, default=plain) + "\n" for value in values).encode()

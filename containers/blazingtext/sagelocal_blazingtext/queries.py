"""What callers ask: texts, each with the number of labels they want.

    application/json        {"instances": ["...", "..."], "configuration": {"k": 2}}
    application/jsonlines   {"source": "...", "k": 2}        one to a line
    text/plain              a text to a line

For word vectors a text is a word, and k has no meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sagelocal_serve.codecs.json_lines import decode_json_lines
from sagelocal_serve.codecs.json_text import decode_json
from sagelocal_serve.codecs.text import decode_text
from sagelocal_serve.errors import BadRequest, UnsupportedMediaType
from sagelocal_serve.interface import Request
from sagelocal_serve.media_type import JSON, JSON_LINES, OCTET_STREAM, MediaType

TEXT = "text/plain"
REQUEST_TYPES = (JSON, JSON_LINES, TEXT)

_FORM = '{"instances": ["a text", ...], "configuration": {"k": 1}}'
_LINE_FORM = '{"source": "a text", "k": 1}'
_SHOWN_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Query:
    """One text, in one line, and how many labels are wanted."""

    text: str
    k: int = 1


@dataclass(frozen=True, slots=True)
class Queries:
    """All of a request, and the type of its answer."""

    queries: list[Query]
    answer_type: str


def decode(request: Request) -> Queries:
    """The request's queries; raises BadRequest or UnsupportedMediaType."""
    kind = _kind(request.content_type)
    text = decode_text(request.body, request.content_type)
    if kind == JSON:
        return Queries(_of_json(text), JSON)
    if kind == JSON_LINES:
        return Queries(_of_lines(text), JSON_LINES)
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise BadRequest("The text has no lines: send at least one.")
    return Queries([Query(line) for line in lines], JSON)


def _kind(content_type: MediaType) -> str:
    """Clients that name no type send JSON: the SDK's default serializer says octet-stream."""
    canonical = JSON if content_type.canonical == OCTET_STREAM else content_type.canonical
    if canonical not in REQUEST_TYPES:
        raise UnsupportedMediaType.of(content_type, REQUEST_TYPES)
    return canonical


def _of_json(text: str) -> list[Query]:
    document = decode_json(text)
    if not isinstance(document, dict) or not isinstance(document.get("instances"), list):
        raise BadRequest(f"The JSON has no list of instances: send {_FORM}.")
    if not document["instances"]:
        raise BadRequest(f"The list of instances is empty: send {_FORM}.")
    configuration = document.get("configuration") or {}
    if not isinstance(configuration, dict):
        raise BadRequest(f"The configuration is no object: send {_FORM}.")
    k = _k(configuration.get("k", 1), "configuration.k")
    return [
        Query(_text(instance, f"Instance {number}", _FORM), k)
        for number, instance in enumerate(document["instances"], 1)
    ]


def _of_lines(text: str) -> list[Query]:
    found = []
    for number, value in enumerate(decode_json_lines(text), 1):
        where = f"Record {number}"
        if not isinstance(value, dict) or "source" not in value:
            raise BadRequest(f"{where} has no source: send {_LINE_FORM} in every line.")
        source = _text(value["source"], f"{where}'s source", _LINE_FORM)
        found.append(Query(source, _k(value.get("k", 1), f"{where}'s k")))
    return found


def _text(value: Any, where: str, form: str) -> str:
    if not isinstance(value, str):
        raise BadRequest(f"{where} is {str(value)[:_SHOWN_CHARACTERS]!r}, not a text: send {form}.")
    # A line feed would end the text for fastText.
    return " ".join(value.split("\n"))


def _k(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadRequest(f"{where} is {value!r}, not a whole number of at least 1.")
    return value

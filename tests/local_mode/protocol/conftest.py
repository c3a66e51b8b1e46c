"""Values for any shape of botocore's models, and botocore's own serialisers as the oracle."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.model import ListShape, MapShape, OperationModel, Shape, StringShape, StructureShape
from botocore.serialize import create_serializer
from hypothesis import strategies as st
from sagelocal.protocol.http import Headers, HttpRequest
from sagelocal.protocol.models import Service

_DEEPEST = 4

# XML 1.0 cannot hold control characters, and parsers make \r\n of \n.
_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), max_size=20)
_TOKEN = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0189-_./=", min_size=1, max_size=12)
_WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cn")), min_size=1)
_DATES = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)


def values(shape: Shape, depth: int = 0) -> st.SearchStrategy[Any]:
    """Parameters, or a result, that a shape can hold."""
    if isinstance(shape, StructureShape):
        return st.just({"a": [1, "b"]}) if shape.is_document_type else _structure(shape, depth)
    if isinstance(shape, ListShape):
        most = 2 if depth < _DEEPEST else 0
        return st.lists(values(shape.member, depth + 1).filter(_is_solid), max_size=most)
    if isinstance(shape, MapShape):
        most = 2 if depth < _DEEPEST else 0
        return st.dictionaries(_TOKEN, values(shape.value, depth + 1), max_size=most)
    return _scalar(shape)


def _is_solid(value: Any) -> bool:
    """Whether anything of it is left on the wire; elements that vanish would shift the others."""
    if isinstance(value, dict | list):
        return any(map(_is_solid, value.values() if isinstance(value, dict) else value))
    return True


def _structure(shape: StructureShape, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    if shape.is_tagged_union:
        return st.sampled_from(list(shape.members.items())).flatmap(
            lambda item: st.fixed_dictionaries({item[0]: _member(item[1], depth)})
        )
    required = {
        name: _member(member, depth)
        for name, member in shape.members.items()
        if name in shape.required_members
    }
    optional = {
        name: _member(member, depth)
        for name, member in shape.members.items()
        if name not in shape.required_members and depth < _DEEPEST
    }
    return st.fixed_dictionaries(required, optional=optional)


def _member(member: Shape, depth: int) -> st.SearchStrategy[Any]:
    match member.serialization.get("location"):
        case "uri" if member.type_name == "string":
            return _WORDS.filter(lambda text: text not in (".", ".."))
        case "header" if member.type_name == "string" or isinstance(member, ListShape):
            return st.lists(_TOKEN, min_size=1, max_size=2) if _is_list(member) else _text(member)
        case "headers":
            return st.dictionaries(_TOKEN.map(_header_name), _TOKEN, min_size=1, max_size=2)
        case "querystring" if isinstance(member, ListShape):
            return st.lists(_TOKEN, min_size=1, max_size=2)
        case "statusCode":
            return st.sampled_from([200, 202])
    return values(member, depth + 1)


def _is_list(shape: Shape) -> bool:
    return isinstance(shape, ListShape)


def _text(shape: Shape) -> st.SearchStrategy[str]:
    if isinstance(shape, StringShape) and shape.enum:
        return st.sampled_from(shape.enum)
    return _TOKEN


def _header_name(text: str) -> str:
    return text.lower().replace("/", "-").replace("=", "-")


def _scalar(shape: Shape) -> st.SearchStrategy[Any]:
    match shape.type_name:
        case "boolean":
            return st.booleans()
        case "integer" | "long":
            return st.integers(-(2**31), 2**31 - 1)
        case "float" | "double":
            return st.floats(allow_nan=False, allow_infinity=False, width=32)
        case "timestamp":
            return _DATES
        case "blob":
            return st.binary(max_size=20)
    return _text(shape) if isinstance(shape, StringShape) and shape.enum else _TEXT


def to_request(service: Service, operation: OperationModel, params: dict[str, Any]) -> HttpRequest:
    """The request that botocore's own serialiser makes."""
    serializer = create_serializer(service.protocol, include_validation=False)
    made = serializer.serialize_to_request(dict(params), operation)
    body = made["body"]
    if isinstance(body, dict):
        body = urlencode(body, doseq=True)
    data = body.encode() if isinstance(body, str) else bytes(body or b"")
    path, _, literal = str(made["url_path"]).partition("?")
    query = urlencode(made["query_string"] or {}, doseq=True)
    return HttpRequest(
        method=str(made["method"]),
        path=path,
        query="&".join(part for part in (literal, query) if part),
        headers=Headers({name: str(value) for name, value in made["headers"].items()}),
        body=io.BytesIO(data),
        content_length=len(data),
    )


@pytest.fixture(scope="session")
def shape_values() -> Callable[..., st.SearchStrategy[Any]]:
    return values


@pytest.fixture(scope="session")
def request_of() -> Callable[..., HttpRequest]:
    return to_request

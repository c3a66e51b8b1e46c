"""Where REST services put members outside the body: path, query string, headers, status code.

A member's shape says so (`location` and `locationName` in botocore's models). `headers`, in the
plural, is a map under a common prefix: `x-amz-meta-`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from botocore.model import ListShape, MapShape, Shape, StructureShape

from sagelocal.protocol.http import Headers
from sagelocal.protocol.models import wire_name
from sagelocal.protocol.xml_codec import decode_text, encode_text


class Unreadable(ValueError):
    """A value in the path, query string or a header that its shape cannot hold."""

    def __init__(self, name: str, value: str) -> None:
        super().__init__(f"{name}: {value!r}")
        self.name = name
        self.value = value


def location(shape: Shape) -> str | None:
    """Where a member travels; None is the body."""
    found: str | None = shape.serialization.get("location")
    return found


def body_members(shape: StructureShape) -> dict[str, Shape]:
    """The members that travel in the body."""
    return {name: member for name, member in shape.members.items() if location(member) is None}


def decode(
    shape: StructureShape, labels: Mapping[str, str], query: str, headers: Headers
) -> dict[str, Any]:
    """Every member that is not in the body. Raises Unreadable."""
    parameters: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        parameters.setdefault(name, []).append(value)
    source = _Source(labels, parameters, headers)
    result: dict[str, Any] = {}
    for name, member in shape.members.items():
        value = source.read(member, wire_name(member, name))
        if value is not None:
            result[name] = value
    return result


@dataclass(frozen=True)
class _Source:
    labels: Mapping[str, str]
    parameters: Mapping[str, list[str]]
    headers: Headers

    def read(self, member: Shape, name: str) -> Any:
        match location(member):
            case "uri":
                return _scalar(member, name, self.labels.get(name))
            case "querystring" if isinstance(member, MapShape):
                return self._parameter_map(member)
            case "querystring" if isinstance(member, ListShape):
                values = self.parameters.get(name)
                return values and [_scalar(member.member, name, value) for value in values]
            case "querystring":
                return _scalar(member, name, self.parameters.get(name, [None])[0])
            case "header" if isinstance(member, ListShape):
                text = self.headers.get(name)
                return text and [
                    _scalar(member.member, name, value.strip()) for value in text.split(",")
                ]
            case "header":
                return _scalar(member, name, self.headers.get(name))
            case "headers":
                return self._header_map(name)
        return None

    def _parameter_map(self, member: MapShape) -> dict[str, Any] | None:
        as_list = isinstance(member.value, ListShape)
        return {
            name: values if as_list else values[0] for name, values in self.parameters.items()
        } or None

    def _header_map(self, prefix: str) -> dict[str, str] | None:
        prefix = prefix.lower()
        return {
            name[len(prefix) :]: value
            for name, value in self.headers.items()
            if name.startswith(prefix)
        } or None


def _scalar(shape: Shape, name: str, text: str | None) -> Any:
    if text is None:
        return None
    try:
        if shape.serialization.get("jsonvalue"):
            return json.loads(base64.b64decode(text))
        return decode_text(shape, text)
    except ValueError as error:
        raise Unreadable(name, text) from error


def encode_headers(shape: StructureShape, value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The headers of a result (or of an error's members)."""
    for name, member in shape.members.items():
        item = value.get(name)
        if item is None:
            continue
        match location(member):
            case "header":
                yield wire_name(member, name), _header_text(member, item)
            case "headers":
                prefix = wire_name(member, name)
                yield from ((prefix + key, str(text)) for key, text in item.items())


def _header_text(shape: Shape, value: Any) -> str:
    if shape.serialization.get("jsonvalue"):
        return base64.b64encode(json.dumps(value).encode()).decode()
    if isinstance(shape, ListShape):
        return ", ".join(_header_text(shape.member, item) for item in value)
    return encode_text(shape, value, default_format="rfc822")


def status_code(shape: StructureShape, value: Mapping[str, Any]) -> int | None:
    """The status that a member of the result asks for."""
    for name, member in shape.members.items():
        if location(member) == "statusCode" and value.get(name) is not None:
            return int(value[name])
    return None

"""XML by shape: the bodies of rest-xml (S3) and the answers of the query services (STS, IAM).

Flattened lists repeat their own name, others hold `<member>` (or what the shape calls it); a
member may be an attribute (`xsi:type` of an S3 Grantee).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from botocore.model import ListShape, MapShape, Shape, StructureShape

from sagelocal.protocol.models import wire_name
from sagelocal.protocol.timestamps import epoch_seconds, iso8601, parse_timestamp, rfc822

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_ESCAPES = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&quot;",
        "\r": "&#13;",
        # The rest of the control characters may be in an S3 key; XML 1.0 has no way to say them,
        # and a reference is what S3 sends.
        **{chr(n): f"&#x{n:x};" for n in range(32) if n not in (9, 10, 13)},
    }
)


class MalformedXml(ValueError):
    """A body that is no XML, or no XML of its shape."""


class _Builder(ElementTree.TreeBuilder):
    """Takes no document type: no client writes one, and entities in it could grow without end."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise MalformedXml(f"a document type ({name})")


def escape(text: str) -> str:
    """Text fit for an element or a quoted attribute."""
    return text.translate(_ESCAPES)


def decode_document(shape: StructureShape, body: bytes) -> dict[str, Any]:
    """The root element of a body as parameters. Raises MalformedXml."""
    try:
        root = ElementTree.fromstring(body, ElementTree.XMLParser(target=_Builder()))
    except ElementTree.ParseError as error:
        raise MalformedXml(str(error)) from error
    return _decode_structure(shape, root)


def _decode(shape: Shape, element: Element) -> Any:
    if isinstance(shape, StructureShape):
        return _decode_structure(shape, element)
    if isinstance(shape, ListShape):
        return [_decode(shape.member, child) for child in element]
    if isinstance(shape, MapShape):
        return _decode_map(shape, list(element))
    return decode_text(shape, element.text or "")


def _decode_structure(shape: StructureShape, element: Element) -> dict[str, Any]:
    children: dict[str, list[Element]] = {}
    for child in element:
        children.setdefault(_local_name(child.tag), []).append(child)
    result: dict[str, Any] = {}
    for name, member in shape.members.items():
        wire = _element_name(member, name)
        if member.serialization.get("xmlAttribute"):
            value = element.get(_attribute_key(wire))
            if value is not None:
                result[name] = value
        elif wire in children:
            result[name] = _decode_member(member, children[wire])
    return result


def _decode_member(member: Shape, elements: list[Element]) -> Any:
    if isinstance(member, ListShape) and member.serialization.get("flattened"):
        return [_decode(member.member, element) for element in elements]
    if isinstance(member, MapShape) and member.serialization.get("flattened"):
        return _decode_map(member, elements)
    return _decode(member, elements[0])


def _decode_map(shape: MapShape, entries: list[Element]) -> dict[str, Any]:
    key_name, value_name = wire_name(shape.key, "key"), wire_name(shape.value, "value")
    result: dict[str, Any] = {}
    for entry in entries:
        parts = {_local_name(child.tag): child for child in entry}
        if key_name not in parts or value_name not in parts:
            raise MalformedXml(f"a map's entry needs {key_name} and {value_name}")
        result[parts[key_name].text or ""] = _decode(shape.value, parts[value_name])
    return result


def decode_text(shape: Shape, text: str) -> Any:
    """A scalar from text, in an element, a header or a query string. Raises ValueError."""
    match shape.type_name:
        case "boolean":
            return _boolean(text)
        case "integer" | "long":
            return int(text)
        case "float" | "double":
            return float(text)
        case "timestamp":
            return parse_timestamp(text)
        case "blob":
            return base64.b64decode(text)
    return text


def _boolean(text: str) -> bool:
    if text.strip().lower() not in ("true", "false"):
        raise ValueError(f"neither true nor false: {text!r}")
    return text.strip().lower() == "true"


def _local_name(tag: str) -> str:
    return tag.rpartition("}")[2]


def _attribute_key(name: str) -> str:
    prefix, separator, local = name.partition(":")
    return f"{{{_XSI}}}{local}" if separator and prefix == "xsi" else name


def _element_name(shape: Shape, member_name: str) -> str:
    """A flattened list's elements carry the name of its member, if that has one."""
    if isinstance(shape, ListShape) and shape.serialization.get("flattened"):
        own = shape.member.serialization.get("name")
        if own is not None:
            return str(own)
    return wire_name(shape, member_name)


class Writer:
    """Writes one XML body. `milliseconds`: whether dates have them, as in S3."""

    def __init__(self, *, milliseconds: bool) -> None:
        self._milliseconds = milliseconds
        self._parts: list[str] = []

    def text(self) -> str:
        """What was written so far."""
        return "".join(self._parts)

    def members(self, members: Mapping[str, Shape], value: Mapping[str, Any]) -> None:
        """The elements of some members of a structure; those that are unset are left out."""
        for name, member in members.items():
            item = value.get(name)
            if item is not None and not member.serialization.get("xmlAttribute"):
                self._member(_element_name(member, name), member, item)

    def element(self, name: str, shape: Shape, value: Any) -> None:
        """One element with everything below it."""
        attributes = _attributes(shape, value) if isinstance(shape, StructureShape) else ""
        self._parts.append(f"<{name}{attributes}>")
        self._content(shape, value)
        self._parts.append(f"</{name}>")

    def _member(self, name: str, shape: Shape, value: Any) -> None:
        flattened = shape.serialization.get("flattened")
        if isinstance(shape, ListShape) and flattened:
            for item in value:
                self.element(name, shape.member, item)
        elif isinstance(shape, MapShape) and flattened:
            self._entries(name, shape, value)
        else:
            self.element(name, shape, value)

    def _content(self, shape: Shape, value: Any) -> None:
        if isinstance(shape, StructureShape):
            self.members(shape.members, value)
        elif isinstance(shape, ListShape):
            for item in value:
                self.element(wire_name(shape.member, "member"), shape.member, item)
        elif isinstance(shape, MapShape):
            self._entries("entry", shape, value)
        else:
            self._parts.append(escape(encode_text(shape, value, milliseconds=self._milliseconds)))

    def _entries(self, name: str, shape: MapShape, value: Mapping[str, Any]) -> None:
        for key, item in value.items():
            self._parts.append(f"<{name}>")
            self.element(wire_name(shape.key, "key"), shape.key, key)
            self.element(wire_name(shape.value, "value"), shape.value, item)
            self._parts.append(f"</{name}>")


def _attributes(shape: StructureShape, value: Mapping[str, Any]) -> str:
    namespace = shape.serialization.get("xmlNamespace") or {}
    text = ""
    if namespace.get("prefix"):
        text += f' xmlns:{namespace["prefix"]}="{escape(namespace["uri"])}"'
    for name, member in shape.members.items():
        if member.serialization.get("xmlAttribute") and value.get(name) is not None:
            text += f' {wire_name(member, name)}="{escape(str(value[name]))}"'
    return text


def encode_text(
    shape: Shape, value: Any, *, default_format: str = "iso8601", milliseconds: bool = False
) -> str:
    """A scalar as text, for an element or a header."""
    match shape.type_name:
        case "boolean":
            return "true" if value else "false"
        case "timestamp":
            match shape.serialization.get("timestampFormat", default_format):
                case "rfc822":
                    return rfc822(value)
                case "unixTimestamp":
                    return str(epoch_seconds(value))
            return iso8601(value, milliseconds=milliseconds)
        case "blob":
            return base64.b64encode(value if isinstance(value, bytes) else value.encode()).decode()
    return str(value)

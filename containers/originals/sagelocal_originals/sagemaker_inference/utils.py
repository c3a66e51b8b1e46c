"""Small things that handlers use: files, and the headers of a request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

CONTENT_TYPE_REGEX = re.compile("^[Cc]ontent-?[Tt]ype")


def read_file(path: str, mode: str = "r") -> str:
    """The text of a file."""
    with Path(path).open(mode, encoding="utf-8") as stream:
        return str(stream.read())


def write_file(path: str, data: str, mode: str = "w") -> None:
    """Write a text to a file."""
    with Path(path).open(mode, encoding="utf-8") as stream:
        stream.write(data)


def retrieve_content_type_header(request_property: Mapping[str, str]) -> str | None:
    """The content type among the headers of a request, however it is spelt."""
    return next(
        (value for name, value in request_property.items() if CONTENT_TYPE_REGEX.match(name)), None
    )


def parse_accept(accept: str) -> list[str]:
    """The types of an Accept header in their order, without parameters."""
    return [each.partition(";")[0].strip() for each in accept.split(",")]


def remove_crlf(illegal_string: str) -> str:
    """A text as one line."""
    return illegal_string.replace("\n", " ").replace("\r", " ")

r"""An uploaded HTML form (multipart/form-data, RFC 7578), read as it comes: fields, then one file.

    --boundary\r\n
    Content-Disposition: form-data; name="key"\r\n
    \r\n
    data/${filename}\r\n
    --boundary\r\n
    Content-Disposition: form-data; name="file"; filename="train.csv"\r\n
    Content-Type: text/csv\r\n
    \r\n
    <the file>\r\n
    --boundary--\r\n

S3 ignores what comes behind the file, and so does this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from typing import BinaryIO

FILE_FIELD = "file"
# Amazon S3 API Reference, "POST Object": the form fields before the file.
MOST_FIELD_BYTES = 20 * 1024
_READ_BYTES = 256 * 1024


class MalformedForm(ValueError):
    """The body is no form, or ends within it."""


class FieldsTooLarge(ValueError):
    """The fields before the file are longer than MOST_FIELD_BYTES."""


@dataclass(frozen=True)
class Form:
    """The fields by name in lower case, and the file: None if there is none.

    `filename` is what the client calls the file. `file` is to be read once.
    """

    fields: Mapping[str, str]
    filename: str = ""
    file: Iterator[bytes] | None = None


def boundary_of(content_type: str) -> bytes | None:
    """What separates the parts; None for a body that is no multipart/form-data."""
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_boundary()
    if message.get_content_type() != "multipart/form-data" or not boundary:
        return None
    return boundary.encode("latin-1", "replace")


def read_form(body: BinaryIO, boundary: bytes) -> Form:
    """Read the fields; the file's bytes follow as they are asked for.

    Raises MalformedForm, also from `file` when the body ends within it, and FieldsTooLarge.
    """
    stream = _Stream(body)
    separator = b"--" + boundary
    if stream.until(separator):
        raise MalformedForm("the body does not begin with its boundary")
    fields: dict[str, str] = {}
    while stream.line() != b"--":
        headers = BytesHeaderParser().parsebytes(stream.until(b"\r\n\r\n"))
        name = headers.get_param("name", header="Content-Disposition")
        if not isinstance(name, str):
            raise MalformedForm("a part has no name")
        if name.lower() == FILE_FIELD:
            return Form(fields, headers.get_filename() or "", stream.pieces(b"\r\n" + separator))
        fields[name.lower()] = stream.until(b"\r\n" + separator).decode("utf-8", "replace")
    return Form(fields)


class _Stream:
    """What was read ahead of a body, and the rest of it."""

    def __init__(self, body: BinaryIO) -> None:
        self._body = body
        self._ahead = b""
        self._left = MOST_FIELD_BYTES

    def line(self) -> bytes:
        """What is left of a boundary's line: nothing, or the `--` of the last."""
        while len(self._ahead) < 2:
            self._fill()
        if self._ahead.startswith(b"--"):
            return b"--"
        return self.until(b"\r\n").strip()

    def until(self, mark: bytes) -> bytes:
        """Everything before the mark, which is passed over."""
        while (end := self._ahead.find(mark)) < 0:
            if len(self._ahead) > self._left:
                raise FieldsTooLarge
            self._fill()
        found, self._ahead = self._ahead[:end], self._ahead[end + len(mark) :]
        self._left -= end
        if self._left < 0:
            raise FieldsTooLarge
        return found

    def pieces(self, mark: bytes) -> Iterator[bytes]:
        """The same, however long it is, piece by piece."""
        while (end := self._ahead.find(mark)) < 0:
            # The mark may have begun.
            certain = max(0, len(self._ahead) - len(mark) + 1)
            if certain:
                yield self._ahead[:certain]
                self._ahead = self._ahead[certain:]
            self._fill()
        yield self._ahead[:end]

    def _fill(self) -> None:
        more = self._body.read(_READ_BYTES)
        if not more:
            raise MalformedForm("the body ends within the form")
        self._ahead += more

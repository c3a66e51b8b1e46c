"""Bytes to text by the charset that the Content-Type declares; UTF-8 unless it says otherwise."""

from __future__ import annotations

from sagelocal_serve.errors import BadRequest
from sagelocal_serve.media_type import MediaType

# Python knows many codecs that are no charsets of the web; these are the ones that clients send.
CHARSETS = {
    "utf-8": "utf-8-sig",
    "utf8": "utf-8-sig",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "iso-8859-1": "latin-1",
    "latin-1": "latin-1",
    "windows-1252": "cp1252",
    "utf-16": "utf-16",
}


def decode_text(body: bytes, content_type: MediaType) -> str:
    """The body as text, without a byte order mark; raises BadRequest."""
    charset = (content_type.parameter("charset") or "utf-8").lower()
    codec = CHARSETS.get(charset)
    if codec is None:
        raise BadRequest(f"The charset {charset!r} is not known. Send utf-8.")
    try:
        return body.decode(codec)
    except UnicodeDecodeError as error:
        raise BadRequest(
            f"The body is not {charset} text: byte {error.start} is 0x{body[error.start]:02x}."
        ) from error


def lines_of(text: str) -> list[str]:
    """The lines of a body, which end with CR, LF or both; `splitlines` knows more ends than CSV."""
    # A regular expression would take longer for this than numpy takes for the numbers.
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")

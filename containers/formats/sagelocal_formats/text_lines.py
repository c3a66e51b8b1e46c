"""What the formats made of text lines share: lines with their numbers, and numbers in them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from sagelocal_formats.errors import FormatError

SHOWN = 40

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"PK\x03\x04": "ZIP",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def decoded(data: bytes | memoryview, source: str) -> str:
    """Text in UTF-8, without its byte order mark; raises FormatError."""
    raw = bytes(data)
    refuse_packed(raw, source)
    try:
        return raw.removeprefix(_BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError as error:
        mark = len(_BYTE_ORDER_MARK) if raw.startswith(_BYTE_ORDER_MARK) else 0
        at = error.start + mark
        before = raw[:at].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        raise FormatError(
            no_utf8(raw[at]),
            source=source,
            line=before.count(b"\n") + 1,
        ) from None


def no_utf8(byte: int) -> str:
    """What is wrong with a byte, and what to do."""
    return f"the byte 0x{byte:02x} is no UTF-8 text; save the file as UTF-8"


def refuse_packed(head: bytes | memoryview, source: str) -> None:
    """Raise FormatError for a beginning that packed files or other encodings have."""
    start = bytes(head[:8])
    for magic, kind in _COMPRESSED.items():
        if start.startswith(magic):
            raise FormatError(
                f"the file is {kind}-compressed; text is read uncompressed (the CompressionType "
                "Gzip of a channel has gzip unpacked on its way)",
                source=source,
                offset=0,
            )
    if start.startswith(_UTF16):
        raise FormatError("the text is UTF-16; save it as UTF-8", source=source, offset=0)


def numbered_lines(data: bytes | memoryview, source: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, without their ends, and their numbers, counted from 1."""
    for number, found in enumerate(_LINE.finditer(decoded(data, source)), 1):
        line = found[0].rstrip("\r\n")
        if line.strip():
            yield number, line


def shown(text: str) -> str:
    """A piece of input for a message: quoted, and not too long."""
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "…")


def parsed_float(text: str, source: str, line: int, column: int | None = None) -> float:
    """A finite number; raises FormatError that says where it is none."""
    try:
        # Python's underscores between digits are no part of any format here.
        number = float(text) if "_" not in text else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise FormatError(
            f"{shown(text)} is no finite number", source=source, line=line, column=column
        )
    return number

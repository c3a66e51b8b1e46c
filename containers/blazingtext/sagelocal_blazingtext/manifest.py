"""Augmented manifests as lines of text: `{"source": "the match ...", "label": 1}`.

In Pipe mode the service sends of every line the attributes that the channel names, one after the
other, each as a RecordIO record: the text of `source`, then the `label` (developer guide,
"Augmented Manifest Text Format" of BlazingText and "Provide Dataset Metadata to Training Jobs with
an Augmented Manifest File"). In File mode, and in pipes without RecordIO, they are JSON Lines.

A label is a number, a text, or a list of those: 1 and "1" both become `__label__1`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO, Protocol

from sagelocal_formats import FormatError
from sagelocal_formats.recordio import read_records
from sagelocal_train.errors import UserError

HEAD_BYTES = 1 << 16
LABEL = "__label__"
_NEXT_STEP = (
    'set AttributeNames to ["source", "label"] and RecordWrapperType to "RecordIO" for Pipe mode'
)


class Readable(Protocol):
    """What lines and records are read from."""

    def read(self, size: int = ..., /) -> bytes: ...


def looks_like_one(head: bytes) -> bool:
    """Whether a file that begins so is JSON Lines with a `source`."""
    first = head.lstrip().partition(b"\n")[0].strip()
    if not first.startswith(b"{"):
        return False
    try:
        return "source" in json.loads(first)
    except ValueError:
        # Perhaps its first line is longer than what was looked at.
        return len(head) >= HEAD_BYTES and b'"source"' in first


def write_json_lines(stream: Readable, name: str, labelled: bool, out: BinaryIO) -> int:
    """Write one line of text for each line of JSON; returns how many."""
    written = 0
    for number, line in enumerate(_lines(stream), 1):
        if line.strip():
            out.write(_of_json(line, f"{name}, line {number}", labelled))
            written += 1
    return written


def write_records(stream: Readable, name: str, labelled: bool, out: BinaryIO) -> int:
    """Write one line of text for each pair of records; returns how many."""
    written = 0
    try:
        records = read_records(stream, name)
        for number, source in enumerate(records, 1):
            where = f"{name}, record {number} of the manifest"
            if source.lstrip().startswith(b'{"') and b'"source"' in source:
                out.write(_of_json(source, where, labelled))
            else:
                label = next(records, None) if labelled else None
                if labelled and label is None:
                    raise UserError(f"{where} has a source and no label: {_NEXT_STEP}")
                text = _decoded(source, where)
                out.write(_line(text, _value(label, where) if label is not None else None, where))
            written += 1
    except FormatError as error:
        raise UserError(f"{error}. A pipe of an augmented manifest holds RecordIO") from error
    return written


def _lines(stream: Readable) -> Iterator[bytes]:
    rest = b""
    while part := stream.read(1 << 20):
        *whole, rest = (rest + part).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _of_json(line: bytes, where: str, labelled: bool) -> bytes:
    try:
        entry = json.loads(_decoded(line, where))
    except ValueError as error:
        raise UserError(f"{where} is not JSON: {error}") from error
    if not isinstance(entry, dict) or not isinstance(entry.get("source"), str):
        raise UserError(f'{where} has no text "source": write {{"source": "the text", "label": 1}}')
    if labelled and "label" not in entry:
        raise UserError(
            f'{where} has no "label": write {{"source": "the text", "label": 1}} or a list of '
            "labels"
        )
    return _line(entry["source"], entry["label"] if labelled else None, where)


def _decoded(record: bytes, where: str) -> str:
    try:
        return record.decode()
    except UnicodeDecodeError as error:
        raise UserError(
            f"{where} is not UTF-8 text: it has the byte 0x{record[error.start]:02x}"
        ) from error


def _value(label: bytes, where: str) -> Any:
    """A label as it was in the manifest: numbers and lists come as JSON, texts as they are."""
    text = _decoded(label, where)
    try:
        return json.loads(text)
    except ValueError:
        return text


def _line(source: str, label: Any, where: str) -> bytes:
    """`__label__1 __label__3 the text`, in one line whatever the source holds."""
    labels = [] if label is None else label if isinstance(label, list) else [label]
    if label is not None and not labels:
        raise UserError(f"{where} has an empty list of labels")
    words = [_label(entry, where) for entry in labels]
    return " ".join([*words, *source.split()]).encode() + b"\n"


def _label(label: Any, where: str) -> str:
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    if isinstance(label, bool) or not isinstance(label, int | str) or not str(label):
        raise UserError(f"{where} has the label {label!r}; a number or a text is needed")
    if any(character.isspace() for character in str(label)):
        raise UserError(
            f"{where} has the label {label!r} with a space in it: {_NEXT_STEP}, and use no spaces"
        )
    text = str(label)
    return text if text.startswith(LABEL) else LABEL + text

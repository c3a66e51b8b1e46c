"""Channels to text: one checked file of a line per sentence, as fastText reads it.

A channel may hold several files, JSON Lines (`{"source": "...", "label": 1}`) or a pipe; what
comes out is one file of plain lines. A single plain file is checked and used where it lies.

Every line is UTF-8, and in supervised mode begins with its labels: `__label__sports the match ...`.
Blank lines do not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sagelocal_formats.recordio import MAGIC_BYTES
from sagelocal_train.channels import ChannelDeclaration, Channels, InputMode, media_type
from sagelocal_train.config import Channel
from sagelocal_train.errors import UserError

from sagelocal_blazingtext import manifest

LABEL = b"__label__"
CHUNK_BYTES = 1 << 22
_SHOWN_CHARACTERS = 60

_COMPRESSED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2"}
_PLAIN, _JSON_LINES = "text/plain", "application/jsonlines"
_TYPES = (_PLAIN, _JSON_LINES)
_MODES: tuple[InputMode, ...] = ("File", "FastFile", "Pipe")

# The content type is no reason to refuse a channel: clients leave it out or send what they like.
CHANNELS = Channels(
    ChannelDeclaration(
        "train",
        required=True,
        input_modes=_MODES,
        help="Sentences, a line each; supervised: labels first.",
    ),
    ChannelDeclaration(
        "validation", input_modes=_MODES, help="supervised: sentences to measure the accuracy on."
    ),
    ChannelDeclaration(
        "evaluation", help="Word vectors: files of judgements, `word word number` to a line."
    ),
)


@dataclass(frozen=True, slots=True)
class Corpus:
    """The text of a channel: `source` is what to call it in messages."""

    path: Path
    source: str
    size_bytes: int


def read_corpus(channel: Channel, labelled: bool, scratch: Path) -> Corpus:
    """The channel's text, in `scratch` where it cannot be used as it lies.

    Raises UserError that names the channel, the file and the line.
    """
    if channel.input_mode == "Pipe":
        return _from_pipe(channel, labelled, scratch)
    if not channel.path.is_dir():
        raise UserError(f"The channel {channel.name!r} has no folder {channel.path}")
    files = [path for path in channel.files() if path.stat().st_size]
    names = [f"{channel.name}/{path.relative_to(channel.path)}" for path in files]
    declared = media_type(channel.content_type or "") == _JSON_LINES
    as_manifest = [declared or _is_manifest(path) for path in files]
    if len(files) == 1 and not as_manifest[0]:
        with files[0].open("rb") as stream:
            lines = _checked(stream, names[0], labelled, None)
        return _corpus(channel, files[0], str(files[0]), lines, labelled)
    target = scratch / f"{channel.name}.txt"
    lines = 0
    with target.open("wb") as out:
        for path, name, is_manifest in zip(files, names, as_manifest, strict=True):
            with path.open("rb") as stream:
                if is_manifest:
                    lines += manifest.write_json_lines(stream, name, labelled, out)
                else:
                    lines += _checked(stream, name, labelled, out)
    return _corpus(channel, target, str(channel.path), lines, labelled)


def _from_pipe(channel: Channel, labelled: bool, scratch: Path) -> Corpus:
    """The first epoch of a pipe: it is kept, so no later one has to be opened."""
    target = scratch / f"{channel.name}.txt"
    name = f"{channel.name} (pipe)"
    with channel.open_pipe(0) as pipe, target.open("wb") as out:
        stream = _Peeked(pipe)
        if stream.head.startswith(MAGIC_BYTES):
            lines = manifest.write_records(stream, name, labelled, out)
        elif manifest.looks_like_one(stream.head):
            lines = manifest.write_json_lines(stream, name, labelled, out)
        else:
            lines = _checked(stream, name, labelled, out)
    return _corpus(channel, target, str(channel.pipe(0)), lines, labelled)


def _corpus(channel: Channel, path: Path, source: str, lines: int, labelled: bool) -> Corpus:
    if not lines:
        kind = "a labelled sentence" if labelled else "a sentence"
        raise UserError(
            f"The channel {channel.name!r} holds no data: there is not {kind} in {channel.path}. "
            "Check its S3Uri and S3DataType"
        )
    return Corpus(path, source, path.stat().st_size)


def _is_manifest(path: Path) -> bool:
    with path.open("rb") as stream:
        return manifest.looks_like_one(stream.read(manifest.HEAD_BYTES))


class _Peeked:
    """A stream whose beginning was looked at."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.head = self._rest = _read_fully(stream, manifest.HEAD_BYTES)

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; none at the end."""
        if not self._rest:
            return self._stream.read(size)
        end = len(self._rest) if size < 0 else size
        given, self._rest = self._rest[:end], self._rest[end:]
        return given


def _read_fully(stream: BinaryIO, size: int) -> bytes:
    parts: list[bytes] = []
    while size and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _checked(stream: manifest.Readable, name: str, labelled: bool, out: BinaryIO | None) -> int:
    """How many lines count; all of them go to `out`. Raises UserError naming file and line."""
    before, counted = 0, 0
    for chunk in whole_lines(stream):
        if not before:
            _check_uncompressed(chunk, name)
        _check_utf8(chunk, name, before)
        lines = chunk.split(b"\n")
        if labelled:
            _check_labels(lines, name, before)
        counted += sum(1 for line in lines if line and not line.isspace())
        before += len(lines) - 1
        if out is not None:
            out.write(chunk)
            if not chunk.endswith(b"\n"):
                out.write(b"\n")
    return counted


def whole_lines(stream: manifest.Readable, size: int = CHUNK_BYTES) -> Iterator[bytes]:
    """The stream in chunks that end with a line, the last one perhaps without its newline."""
    rest = b""
    while part := stream.read(size):
        end = part.rfind(b"\n") + 1
        if not end:
            rest += part
            continue
        yield rest + part[:end]
        rest = part[end:]
    if rest:
        yield rest


def _check_uncompressed(beginning: bytes, name: str) -> None:
    for magic, kind in _COMPRESSED.items():
        if beginning.startswith(magic):
            raise UserError(
                f"{name} is compressed ({kind}), not text: upload it uncompressed; gzip may stay, "
                "with CompressionType 'Gzip' and TrainingInputMode 'Pipe' of the channel"
            )


def _check_utf8(chunk: bytes, name: str, before: int) -> None:
    try:
        chunk.decode()
    except UnicodeDecodeError as error:
        line = before + chunk.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{name}, line {line} is not UTF-8 text: it has the byte 0x{chunk[error.start]:02x}. "
            "Convert the file (iconv -f latin1 -t utf-8), and leave it uncompressed"
        ) from error


def _check_labels(lines: list[bytes], name: str, before: int) -> None:
    for number, line in enumerate(lines, before + 1):
        if line.startswith(LABEL) or not line.strip():
            continue
        if not any(word.startswith(LABEL) for word in line.split()):
            shown = line.decode()[:_SHOWN_CHARACTERS]
            raise UserError(
                f"{name}, line {number} has no label: {shown!r}. In supervised mode every line "
                "begins with at least one, such as __label__sports"
            )

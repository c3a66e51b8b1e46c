"""The series of a channel: JSON Lines, gzipped or not, and Parquet.

All files of the folder belong to the channel, however deep they lie, but for those that begin with
a dot and `_SUCCESS`, which Spark leaves (developer guide, "Input/Output Interface for the DeepAR
Algorithm"). Which format a file has is said by its name or the channel's content type; what it
begins with decides.
"""

from __future__ import annotations

import gzip
import importlib
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from sagelocal_train.channels import media_type
from sagelocal_train.config import Channel
from sagelocal_train.errors import UserError

from sagelocal_deepar.frequency import Frequency
from sagelocal_deepar.series import RecordError, Series, series_of

_GZIP, _PARQUET = b"\x1f\x8b", b"PAR1"
_HEAD_BYTES = 4
_SHOWN_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Read:
    """A series and where it was found: `train/a.json, line 3`."""

    series: Series
    place: str


@dataclass(frozen=True, slots=True)
class ChannelSeries:
    """All series of a channel; `name` is the channel's, `first_file` the path of its first file."""

    name: str
    first_file: Path
    read: tuple[Read, ...]

    @property
    def series(self) -> list[Series]:
        """The series alone."""
        return [each.series for each in self.read]

    def place(self, number: int) -> str:
        """Where a series was found."""
        return self.read[number].place


def read_channel(channel: Channel, frequency: Frequency) -> ChannelSeries:
    """The series of a channel; raises UserError that names the file and the row."""
    if not channel.path.is_dir():
        raise UserError(f"The channel {channel.name!r} has no folder {channel.path}")
    files = [path for path in channel.files() if _counts(path.relative_to(channel.path))]
    found: list[Read] = []
    for path in files:
        name = f"{channel.name}/{path.relative_to(channel.path)}"
        for place, record in _records(path, name, channel.content_type):
            try:
                found.append(Read(series_of(record, frequency), place))
            except RecordError as error:
                raise UserError(f"{place}: {error}") from error
    if not found:
        raise UserError(
            f"The channel {channel.name!r} holds no data: there is no time series in "
            f"{channel.path}. Check its S3Uri and S3DataType; files that begin with a dot and "
            "_SUCCESS are left out"
        )
    return ChannelSeries(channel.name, files[0], tuple(found))


def _counts(path: Path) -> bool:
    return path.name != "_SUCCESS" and not any(part.startswith(".") for part in path.parts)


def _records(path: Path, name: str, content_type: str | None) -> Iterator[tuple[str, Any]]:
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
        stream.seek(0)
        if not head:
            return
        _check_promise(path, name, head, content_type)
        if head == _PARQUET:
            reader = importlib.import_module("sagelocal_deepar.parquet_rows")
            rows: Iterable[tuple[int, Any]] = reader.rows(stream, name)
            yield from ((f"{name}, row {number}", record) for number, record in rows)
        elif head.startswith(_GZIP):
            yield from _lines(_unzipped(stream, name), name)
        else:
            yield from _lines(stream, name)


def _check_promise(path: Path, name: str, head: bytes, content_type: str | None) -> None:
    """Raise UserError where a name promises a format that the file does not have."""
    said = media_type(content_type or "")
    ends = path.name.lower()
    if ends.endswith(".parquet") or (said.endswith("parquet") and ".json" not in ends):
        if head != _PARQUET:
            raise UserError(
                f"{name} is no Parquet file: it begins with {head!r}, not {_PARQUET!r}. Give JSON "
                "Lines the extension .json, or .json.gz where it is gzipped"
            )
    elif ends.endswith(".gz") and not head.startswith(_GZIP):
        raise UserError(
            f"{name} is not gzipped: it begins with {head!r}. Give JSON Lines that are not the "
            "extension .json"
        )


def _unzipped(stream: BinaryIO, name: str) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=stream) as opened:
            yield from opened
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{name} cannot be unzipped: {error}. Upload the file again") from error


def _lines(lines: Iterable[bytes], name: str) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            place = f"{name}, line {number}"
            yield place, _decoded(line, place)


def _decoded(line: bytes, place: str) -> Any:
    try:
        return json.loads(line.decode("utf-8-sig"), parse_constant=_constant)
    except UnicodeDecodeError as error:
        raise UserError(
            f"{place} is not UTF-8 text: it has the byte 0x{line[error.start]:02x}. Convert the "
            "file (iconv -f latin1 -t utf-8)"
        ) from error
    except (ValueError, RecursionError) as error:
        shown = line.decode(errors="replace").strip()[:_SHOWN_CHARACTERS]
        raise UserError(
            f"{place} is not JSON: {error}; it begins with {shown!r}. The file is read as JSON "
            "Lines: an object such as "
            '{"start": "2009-11-01 00:00:00", "target": [4.3, 5.1]} in every line'
        ) from error


def _constant(word: str) -> float:
    return float("nan") if word == "NaN" else _refused(word)


def _refused(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")

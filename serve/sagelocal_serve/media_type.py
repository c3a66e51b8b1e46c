"""Media types as RFC 9110 writes them: Content-Type with parameters, Accept lists with quality.

Servers that compare the whole header with a string refuse `text/csv; charset=utf-8`, which is
what the container before them in an inference pipeline sends. Here a header is parsed once and
compared by its type and subtype; parameters are kept for whom they concern.

    MediaType.parse("text/csv; label_size=0").parameter("label_size")   -> "0"
    Accept.parse("application/json;q=0.5, text/csv").choose(["application/json", "text/csv"])
        -> MediaType("text", "csv")
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

CSV = "text/csv"
JSON = "application/json"
JSON_LINES = "application/jsonlines"
NPY = "application/x-npy"
RECORDIO_PROTOBUF = "application/x-recordio-protobuf"
LIBSVM = "text/libsvm"
PARQUET = "application/x-parquet"
NPZ = "application/x-npz"
JPEG = "image/jpeg"
PNG = "image/png"
IMAGE = "application/x-image"
OCTET_STREAM = "application/octet-stream"
ANY = "*/*"

# One format, several names in use: the key is what clients send, the value what code asks for.
SPELLINGS = {
    "application/csv": CSV,
    "application/x-jsonlines": JSON_LINES,
    "application/json-lines": JSON_LINES,
    "application/jsonl": JSON_LINES,
    "application/x-ndjson": JSON_LINES,
    "application/ndjson": JSON_LINES,
    "text/jsonlines": JSON_LINES,
    "text/json": JSON,
    "application/npy": NPY,
    "application/npz": NPZ,
    "text/x-libsvm": LIBSVM,
    "application/parquet": PARQUET,
    "application/vnd.apache.parquet": PARQUET,
    "image/jpg": JPEG,
    # Not the grammar's, but InvokeEndpoint takes them, and the original XGBoost does.
    "csv": CSV,
    "json": JSON,
    "jsonlines": JSON_LINES,
    "libsvm": LIBSVM,
    "parquet": PARQUET,
    "recordio-protobuf": RECORDIO_PROTOBUF,
}

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TYPE = re.compile(rf"[ \t]*({_TOKEN})(?:/({_TOKEN}))?[ \t]*")
_PARAMETER = re.compile(
    rf';[ \t]*(?:({_TOKEN})[ \t]*=[ \t]*({_TOKEN}|"(?:[^"\\\r\n]|\\[^\r\n])*")[ \t]*)?'
)
_QUALITY = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\Z")
_ESCAPED = re.compile(r"\\(.)")
_IS_TOKEN = re.compile(rf"{_TOKEN}\Z")


class MediaTypeError(ValueError):
    """A header that follows the grammar of RFC 9110, section 8.3.1 or 12.5.1, not even nearly."""


@dataclass(frozen=True, slots=True)
class MediaType:
    """One media type; type, subtype and parameter names in lower case.

    One without a subtype is a word that a client sends in its place.
    """

    type: str
    subtype: str
    parameters: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def parse(text: str) -> MediaType:
        """Read a Content-Type header; raises MediaTypeError."""
        return _parse(text)

    @property
    def essence(self) -> str:
        """`type/subtype` as the sender spelled it, without parameters."""
        return f"{self.type}/{self.subtype}" if self.subtype else self.type

    @property
    def canonical(self) -> str:
        """The name that code compares with: `application/x-ndjson` gives JSON_LINES."""
        return SPELLINGS.get(self.essence, self.essence)

    def parameter(self, name: str, default: str | None = None) -> str | None:
        """The value of a parameter, by its lower-case name."""
        return next((value for key, value in self.parameters if key == name), default)

    def __str__(self) -> str:
        return self.essence + "".join(f"; {k}={_quoted(v)}" for k, v in self.parameters)


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One element of an Accept list: a media type or a wildcard, and how much it is wanted."""

    media_type: MediaType
    quality: float

    @property
    def specificity(self) -> int:
        """0 for `*/*`, 1 for `text/*`, more for a full type and for each of its parameters."""
        if self.media_type.type == "*":
            return 0
        if self.media_type.subtype == "*":
            return 1
        return 2 + len(self.media_type.parameters)

    def matches(self, offer: str) -> bool:
        """Whether an offer (a canonical essence) falls into this range."""
        kind = self.specificity
        if kind == 0:
            return True
        if kind == 1:
            return offer.partition("/")[0] == self.media_type.type
        return offer == self.media_type.canonical


@dataclass(frozen=True, slots=True)
class Accept:
    """An Accept header, in the sender's order. No element means that anything will do."""

    ranges: tuple[MediaRange, ...] = ()

    @staticmethod
    def parse(text: str | None) -> Accept:
        """Read an Accept header, absent and empty included; raises MediaTypeError."""
        return _parse_accept(text or "")

    @property
    def is_anything(self) -> bool:
        """Whether the sender left the choice to the server (no header, or only `*/*`)."""
        return all(r.specificity == 0 and r.quality > 0 for r in self.ranges)

    def choose(self, offers: Sequence[str]) -> MediaType | None:
        """The offer that the sender likes best, in the sender's spelling; None if none will do.

        Offers are canonical essences, the server's favourite first. Equal quality goes to what
        the sender names first, then to the server's order: clients of hosted models write
        "application/json, text/csv" and expect JSON.
        """
        if not self.ranges:
            return _parse(offers[0]) if offers else None
        ranked = [
            (-match.quality, -min(match.specificity, 2), position, order, match, offer)
            for order, offer in enumerate(offers)
            for position, match in [self._match(offer)]
            if match is not None and match.quality > 0
        ]
        if not ranked:
            return None
        *_, match, offer = min(ranked, key=lambda entry: entry[:4])
        return match.media_type if match.specificity >= 2 else _parse(offer)

    def _match(self, offer: str) -> tuple[int, MediaRange | None]:
        """The most specific range that covers an offer, with its place in the list."""
        best: tuple[int, MediaRange | None] = (0, None)
        for position, candidate in enumerate(self.ranges):
            known = best[1]
            if candidate.matches(offer) and (
                known is None or candidate.specificity > known.specificity
            ):
                best = (position, candidate)
        return best

    def __str__(self) -> str:
        return ", ".join(
            str(r.media_type) + ("" if r.quality == 1 else f"; q={r.quality:.3g}")
            for r in self.ranges
        )


@lru_cache(maxsize=256)
def _parse(text: str) -> MediaType:
    parsed, end = _read(text, 0)
    if end != len(text):
        raise MediaTypeError(f"{text!r} is not a media type such as text/csv")
    return parsed


@lru_cache(maxsize=256)
def _parse_accept(text: str) -> Accept:
    ranges: list[MediaRange] = []
    position = 0
    while position < len(text):
        if text[position] in " \t,":
            position += 1
            continue
        media_type, position = _read(text, position)
        if position < len(text) and text[position] != ",":
            raise MediaTypeError(f"{text!r} is not a list of media types")
        ranges.append(_media_range(media_type))
    return Accept(tuple(ranges))


def _read(text: str, position: int) -> tuple[MediaType, int]:
    """One media type at a position, and where the text goes on after it."""
    head = _TYPE.match(text, position)
    if head is None:
        raise MediaTypeError(f"{text!r} is not a media type such as text/csv")
    parameters: list[tuple[str, str]] = []
    position = head.end()
    while found := _PARAMETER.match(text, position):
        position = found.end()
        if found[1]:
            parameters.append((found[1].lower(), _unquoted(found[2])))
    return MediaType(head[1].lower(), (head[2] or "").lower(), tuple(parameters)), position


def _media_range(media_type: MediaType) -> MediaRange:
    """Split the quality from the parameters; what follows `q` belongs to no media type."""
    kept: list[tuple[str, str]] = []
    for name, value in media_type.parameters:
        if name == "q":
            if not _QUALITY.match(value):
                raise MediaTypeError(f"quality {value!r} is not a number from 0 to 1")
            return MediaRange(_with(media_type, kept), float(value))
        kept.append((name, value))
    return MediaRange(media_type, 1.0)


def _with(media_type: MediaType, parameters: Iterable[tuple[str, str]]) -> MediaType:
    return MediaType(media_type.type, media_type.subtype, tuple(parameters))


def _unquoted(value: str) -> str:
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value


def _quoted(value: str) -> str:
    if _IS_TOKEN.match(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

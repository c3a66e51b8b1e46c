"""Timestamps in the three formats of AWS's protocols.

`unixTimestamp` is seconds since 1970 (JSON), `iso8601` is `2026-11-21T05:30:00Z` (XML, query
strings), `rfc822` is `Sat, 21 Nov 2026 05:30:00 GMT` (headers).
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

Timestamp = datetime | float | int | str


def parse_timestamp(value: str | float | int) -> datetime:
    """Any of the three formats, aware, in UTC. Raises ValueError."""
    if isinstance(value, bool):
        raise ValueError(f"not a timestamp: {value!r}")
    if isinstance(value, int | float):
        return _from_seconds(value)
    try:
        return _from_seconds(float(value))
    except ValueError:
        return _from_text(value.strip())


def to_datetime(value: Timestamp) -> datetime:
    """What a service function gave (a date, or seconds since 1970), aware, in UTC."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return parse_timestamp(value)


def epoch_seconds(value: Timestamp) -> float | int:
    """Seconds since 1970 to the millisecond, as SageMaker gives them."""
    seconds = round(to_datetime(value).timestamp(), 3)
    return int(seconds) if seconds.is_integer() else seconds


def iso8601(value: Timestamp, *, milliseconds: bool = False) -> str:
    """`2026-11-21T05:30:00Z`, or `2026-11-21T05:30:00.000Z` as S3 writes it."""
    moment = to_datetime(value).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds" if milliseconds else "seconds") + "Z"


def rfc822(value: Timestamp) -> str:
    """`Sat, 21 Nov 2026 05:30:00 GMT`."""
    return format_datetime(to_datetime(value).replace(microsecond=0), usegmt=True)


def _from_seconds(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError(f"not a timestamp: {seconds!r}") from error


def _from_text(text: str) -> datetime:
    try:
        return to_datetime(datetime.fromisoformat(text))
    except ValueError:
        pass
    try:
        return to_datetime(parsedate_to_datetime(text))
    except (ValueError, TypeError) as error:
        raise ValueError(f"not a timestamp: {text!r}") from error

"""Dates in the three formats of AWS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal.protocol.timestamps import epoch_seconds, iso8601, parse_timestamp, rfc822

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)


@given(MOMENTS)
def test_seconds_and_iso_keep_the_millisecond(moment: datetime) -> None:
    assert moment == parse_timestamp(iso8601(moment, milliseconds=True))
    assert epoch_seconds(moment) == epoch_seconds(parse_timestamp(epoch_seconds(moment)))


@given(MOMENTS)
def test_headers_keep_the_second(moment: datetime) -> None:
    assert moment.replace(microsecond=0) == parse_timestamp(rfc822(moment))


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T05:30:00Z",
        "2026-11-21T05:30:00.000Z",
        "2026-11-21T06:30:00+01:00",
        "2026-11-21T05:30:00",
        "Sat, 21 Nov 2026 05:30:00 GMT",
        "1795239000",
        "1.795239E9",
    ],
)
def test_every_format_is_read(text: str) -> None:
    assert datetime(2026, 11, 21, 5, 30, tzinfo=UTC) == parse_timestamp(text)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "nan", "1e400"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="timestamp"):
        parse_timestamp(text)


def test_a_date_elsewhere_is_given_in_utc() -> None:
    moment = datetime(2026, 11, 21, 7, 30, tzinfo=timezone(timedelta(hours=2)))
    assert iso8601(moment) == "2026-11-21T05:30:00Z"

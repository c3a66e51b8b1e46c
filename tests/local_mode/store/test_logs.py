"""Logs: pages join to the whole, in both directions, while they are being written."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sagelocal.store.logs import LogEvent, LogStore, NoSuchLog

GROUP = "/aws/sagemaker/TrainingJobs"
STREAM = "job/algo-1-1700000000"

texts = st.text(
    st.characters(exclude_characters="\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029", codec="utf-8")
)
events_lists = st.lists(st.tuples(st.integers(0, 5), texts), max_size=40).map(
    lambda pairs: [
        LogEvent(time, " ".join(text.splitlines()))
        for time, (_, text) in zip(
            accumulate((p[0] for p in pairs), initial=1000), pairs, strict=False
        )
    ]
)
on_files = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def fresh(tmp_path: Path, events: list[LogEvent]) -> LogStore:
    logs = LogStore(tmp_path)
    logs.path(GROUP, STREAM).write_bytes(b"")
    logs.append(GROUP, STREAM, events)
    return logs


@on_files
@given(events_lists, st.integers(1, 7))
def test_pages_forwards_join_to_the_whole(
    tmp_path: Path, events: list[LogEvent], size: int
) -> None:
    logs = fresh(tmp_path, events)
    found: list[LogEvent] = []
    page = logs.forwards(GROUP, STREAM, limit=size)
    while page.events:
        found += page.events
        page = logs.forwards(GROUP, STREAM, page.end, limit=size)
    assert found == events == list(logs.lines(GROUP, STREAM))
    assert page.start == page.end


@on_files
@given(events_lists, st.integers(1, 7))
def test_pages_backwards_join_to_the_whole(
    tmp_path: Path, events: list[LogEvent], size: int
) -> None:
    logs = fresh(tmp_path, events)
    found: list[LogEvent] = []
    page = logs.backwards(GROUP, STREAM, limit=size)
    while page.events:
        found = [*page.events, *found]
        page = logs.backwards(GROUP, STREAM, page.start, limit=size)
    assert found == events


@on_files
@given(events_lists, st.integers(995, 1250))
def test_a_time_is_a_place_in_the_log(tmp_path: Path, events: list[LogEvent], time: int) -> None:
    logs = fresh(tmp_path, events)
    offset = logs.offset_of(GROUP, STREAM, time)
    assert logs.forwards(GROUP, STREAM, offset).events == [e for e in events if e.timestamp >= time]
    assert logs.backwards(GROUP, STREAM, offset).events == [e for e in events if e.timestamp < time]
    assert logs.forwards(GROUP, STREAM, before_ms=time).events == [
        e for e in events if e.timestamp < time
    ]
    assert logs.backwards(GROUP, STREAM, since_ms=time).events == [
        e for e in events if e.timestamp >= time
    ]


def test_a_line_is_there_once_it_is_whole(tmp_path: Path) -> None:
    logs = LogStore(tmp_path)
    file = logs.path(GROUP, STREAM)
    file.write_bytes(b"1\tone\n2\ttw")
    assert [e.text for e in logs.forwards(GROUP, STREAM).events] == ["one"]
    assert [e.text for e in logs.backwards(GROUP, STREAM).events] == ["one"]
    assert logs.offset_of(GROUP, STREAM, 2) == len(b"1\tone\n")
    with file.open("ab") as more:
        more.write(b"o\n")
    assert [e.text for e in logs.forwards(GROUP, STREAM, 6).events] == ["two"]


def test_long_lines_cross_the_blocks_that_are_read(tmp_path: Path) -> None:
    events = [LogEvent(number, chr(97 + number) * 150_000) for number in range(5)]
    logs = fresh(tmp_path, events)
    assert list(logs.backwards(GROUP, STREAM).events) == events
    assert logs.forwards(GROUP, STREAM, logs.offset_of(GROUP, STREAM, 3)).events == events[3:]


def test_a_page_holds_a_megabyte_but_never_nothing(tmp_path: Path) -> None:
    events = [LogEvent(number, "x" * 700_000) for number in range(3)]
    logs = fresh(tmp_path, [*events, LogEvent(9, "y" * 2_000_000)])
    assert len(logs.forwards(GROUP, STREAM).events) == 1
    assert [e.timestamp for e in logs.backwards(GROUP, STREAM).events] == [9]


def test_carriage_returns_and_tabs_are_part_of_a_line(tmp_path: Path) -> None:
    logs = LogStore(tmp_path)
    logs.path(GROUP, STREAM).write_bytes(b"1\t10%\r20%\tdone\r\n")
    assert logs.backwards(GROUP, STREAM).events == [LogEvent(1, "10%\r20%\tdone\r")]


def test_streams_are_described_by_prefix_in_order(tmp_path: Path) -> None:
    logs = LogStore(tmp_path)
    logs.append(GROUP, "b/algo-1-1", [LogEvent(5, "x"), LogEvent(9, "y")])
    logs.append(GROUP, "a/algo-1-1", [LogEvent(1, "x")])
    logs.path(GROUP, "b/algo-2-1").touch()
    assert [s.name for s in logs.streams(GROUP)] == ["a/algo-1-1", "b/algo-1-1", "b/algo-2-1"]
    first, empty = logs.streams(GROUP, "b/")
    assert (first.first_event_at, first.last_event_at) == (5, 9)
    assert (empty.first_event_at, empty.last_event_at) == (None, None)
    assert logs.groups("/aws") == [GROUP]


@pytest.mark.parametrize("group", ["..", ".", "/../..", "x" * 512])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, group: str) -> None:
    logs = LogStore(tmp_path / "logs")
    with pytest.raises(NoSuchLog):
        logs.streams(group)
    with pytest.raises(NoSuchLog):
        logs.forwards(group, "../../x")

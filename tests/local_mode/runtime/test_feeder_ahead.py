"""Sources that are worked on at once and read in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal.runtime.feeder.ahead import Ahead

SOURCES = st.lists(st.lists(st.binary(max_size=5), max_size=5), max_size=12)


@given(SOURCES, st.integers(1, 4), st.integers(0, 20))
def test_chunks_come_in_order_whoever_made_them(
    sources: list[list[bytes]], workers: int, limit: int
) -> None:
    with Ahead(sources, workers, limit) as chunks:
        assert list(chunks) == [chunk for source in sources for chunk in source]


def test_no_more_is_held_than_the_limit() -> None:
    made = threading.Semaphore(0)
    count = 0

    def source() -> Iterator[bytes]:
        nonlocal count
        for _ in range(1000):
            with lock:
                count += 1
            made.release()
            yield b"x" * 10

    lock = threading.Lock()
    with Ahead([source() for _ in range(4)], workers=2, limit_bytes=100) as chunks:
        reader = iter(chunks)
        taken = 0
        for _ in range(200):
            next(reader)
            taken += 1
            with lock:
                # Besides what is held: one chunk in each worker's hands, and the one of the rule.
                assert count - taken <= 100 // 10 + 2 + 1
        assert sum(map(len, reader)) == 10 * (4000 - taken)


def test_an_error_comes_after_the_chunks_before_it_and_in_its_sources_place() -> None:
    def broken() -> Iterator[bytes]:
        yield b"2"
        raise ValueError("broken")

    got: list[bytes] = []
    with (
        pytest.raises(ValueError, match="broken"),
        Ahead([[b"1"], broken(), [b"3"]], workers=3, limit_bytes=100) as chunks,
    ):
        got.extend(chunks)
    assert got == [b"1", b"2"]

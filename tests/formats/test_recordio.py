"""RecordIO framing: round trips, MXNet's split records, and what broken files say."""

from __future__ import annotations

import contextlib
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sagelocal_formats import FormatError
from sagelocal_formats.recordio import MAGIC_BYTES, read_records, write_record

payload_parts = st.one_of(st.just(MAGIC_BYTES), st.binary(max_size=9))
payloads = st.lists(payload_parts, max_size=6).map(b"".join)


def written(records: list[bytes], *, split_at_magic: bool) -> bytes:
    stream = io.BytesIO()
    for record in records:
        write_record(stream, record, split_at_magic=split_at_magic)
    return stream.getvalue()


class Trickle(io.RawIOBase):
    """A stream that hands over one byte per read, as a pipe may."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    def read(self, size: int = -1) -> bytes:
        piece, self._rest = self._rest[:1], self._rest[1:]
        return piece


@given(st.lists(payloads, max_size=5), st.booleans())
@example([MAGIC_BYTES + b"xx"], True)
def test_reading_gives_back_what_was_written(records: list[bytes], split: bool) -> None:
    data = written(records, split_at_magic=split)
    assert list(read_records(io.BytesIO(data))) == records
    assert len(data) % 4 == 0


def test_a_record_is_cut_at_an_aligned_magic_as_mxnet_cuts_it() -> None:
    data = written([MAGIC_BYTES + b"xx"], split_at_magic=True)
    empty_first_part = MAGIC_BYTES + (1 << 29).to_bytes(4, "little")
    last_part = MAGIC_BYTES + (3 << 29 | 2).to_bytes(4, "little") + b"xx\0\0"
    assert data == empty_first_part + last_part


def test_a_magic_off_the_boundary_is_not_cut() -> None:
    assert written([b"x" + MAGIC_BYTES], split_at_magic=True) == written(
        [b"x" + MAGIC_BYTES], split_at_magic=False
    )


def test_a_stream_may_hand_over_single_bytes() -> None:
    data = written([b"hello", b"", b"world"], split_at_magic=False)
    assert list(read_records(Trickle(data))) == [b"hello", b"", b"world"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"0,1,2\n3,4,5\n", "train.rec, byte 0: not a RecordIO record: found b'0,1,'"),
        (written([b"abcd"], split_at_magic=False)[:-2], "byte 0: truncated: .* 4 bytes, 2 are"),
        (written([b"abcd"], split_at_magic=False) + b"\x0a\x23", "byte 12: truncated: 2 bytes of"),
        (MAGIC_BYTES + b"\xff\xff\xff\x1f" + b"x", "byte 0: truncated: .* 536870911 bytes, 1 are"),
        (MAGIC_BYTES + (3 << 29).to_bytes(4, "little"), "byte 0: the middle of a record without"),
        (MAGIC_BYTES + (1 << 29).to_bytes(4, "little"), "byte 0: the last record's closing part"),
        (MAGIC_BYTES + (7 << 29).to_bytes(4, "little"), "byte 0: unknown continuation flag 7"),
        (2 * (MAGIC_BYTES + (1 << 29).to_bytes(4, "little")), "byte 8: a new record begins"),
    ],
)
def test_broken_framing_names_file_and_byte(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        list(read_records(io.BytesIO(data), "train.rec"))


@given(st.binary(max_size=80))
def test_any_bytes_are_records_or_a_format_error(data: bytes) -> None:
    with contextlib.suppress(FormatError):
        list(read_records(io.BytesIO(MAGIC_BYTES + data)))

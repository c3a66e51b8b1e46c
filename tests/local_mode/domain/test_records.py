"""Files as records, and records as requests."""

from __future__ import annotations

import io
import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal.domain.records import BadRecord, batches, records
from sagelocal_formats.recordio import write_record

MAGIC = struct.pack("<I", 0xCED7230A)


def cut(content: bytes, split_type: str, most_bytes: int | None = None) -> list[bytes]:
    return list(records(io.BytesIO(content), split_type, most_bytes))


def tfrecord(*values: bytes) -> bytes:
    """Checksums are not looked at, as nothing is decoded."""
    return b"".join(struct.pack("<Q4x", len(v)) + v + b"sums" for v in values)


def test_lines_keep_their_ends() -> None:
    assert cut(b"1,2\n\n3,4", "Line") == [b"1,2\n", b"\n", b"3,4"]
    assert cut(b"", "Line") == []


def test_what_is_not_split_is_one_record() -> None:
    assert cut(b"a\nb", "None") == [b"a\nb"]


@given(st.lists(st.binary(max_size=40)), st.booleans())
def test_records_of_recordio_and_tfrecord_come_whole(values: list[bytes], tensorflow: bool) -> None:
    values += [MAGIC + b"at a boundary" + MAGIC]  # RecordIO cuts it there
    if tensorflow:
        content, kind = tfrecord(*values), "TFRecord"
    else:
        written = io.BytesIO()
        for value in values:
            write_record(written, value)
        content, kind = written.getvalue(), "RecordIO"
    found = cut(content, kind)

    assert len(found) == len(values)
    assert b"".join(found) == content


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (MAGIC + struct.pack("<I", 8) + b"four", "RecordIO"),
        (MAGIC, "RecordIO"),
        (MAGIC + struct.pack("<I", (1 << 29) + 4) + b"part", "RecordIO"),
        (b"no magic here", "RecordIO"),
        (tfrecord(b"value")[:-1], "TFRecord"),
        (b"\1\0", "TFRecord"),
    ],
)
def test_what_is_cut_off_or_of_another_kind_is_named(content: bytes, kind: str) -> None:
    with pytest.raises(BadRecord, match=r"record 1|Record 1"):
        cut(content, kind)


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"12345\n", "Line", "Record 1 is longer"),
        (b"1\n12345", "Line", "Record 2 is longer"),
        (b"12345", "None", "The file is longer .* give it a SplitType"),
        (tfrecord(b"12345"), "TFRecord", "Record 1 is no TFRecord, or longer"),
    ],
)
def test_what_is_too_long_for_a_request_is_named(content: bytes, kind: str, words: str) -> None:
    with pytest.raises(BadRecord, match=words):
        cut(content, kind, most_bytes=4)


@given(st.lists(st.binary(max_size=9)), st.integers(9, 30))
def test_requests_are_as_full_as_may_be(values: list[bytes], most: int) -> None:
    found = list(batches(iter(values), single=False, most_bytes=most))

    assert [value for batch in found for value in batch] == values
    assert all(sum(map(len, batch)) <= most for batch in found)
    for before, after in itertools.pairwise(found):
        assert sum(map(len, before)) + len(after[0]) > most


def test_a_single_record_is_a_request() -> None:
    assert list(batches(iter([b"a", b"b"]), single=True, most_bytes=9)) == [(b"a",), (b"b",)]
    assert list(batches(iter([b"a", b"b"]), single=False, most_bytes=None)) == [(b"a", b"b")]

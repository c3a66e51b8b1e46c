"""Image records: round trips, exchange with mxnet, and what broken files say."""

from __future__ import annotations

import contextlib
import io
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal_formats import FormatError
from sagelocal_formats.image_records import (
    ImageRecord,
    ListedImage,
    encode_index,
    encode_list,
    pack,
    read_image_record_at,
    read_image_records,
    read_index,
    read_list,
    unpack,
    write_image_records,
)
from sagelocal_formats.recordio import MAGIC_BYTES, write_record

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
labels = st.lists(floats, min_size=1, max_size=4).map(tuple)
ids = st.integers(0, 2**64 - 1)
images = st.builds(ImageRecord, labels, st.binary(max_size=30), ids, ids)
paths = st.text(min_size=1, max_size=8).filter(
    lambda text: text == text.strip() and not any(c in text for c in "\t\r\n")
)


def written(records: list[ImageRecord]) -> bytes:
    stream = io.BytesIO()
    write_image_records(stream, records)
    return stream.getvalue()


@given(st.lists(images, max_size=4))
def test_images_come_back(records: list[ImageRecord]) -> None:
    assert list(read_image_records(io.BytesIO(written(records)))) == records


@given(st.lists(images, max_size=4, unique_by=lambda image: image.id))
def test_every_image_is_found_by_its_index(records: list[ImageRecord]) -> None:
    stream, index = io.BytesIO(), dict[int, int]()
    write_image_records(stream, records, index)
    assert read_index(encode_index(index)) == index
    for record in records:
        assert read_image_record_at(stream, index[record.id]) == record


@given(st.lists(st.builds(ListedImage, st.integers(0, 2**64 - 1), labels, paths), max_size=4))
def test_lists_come_back(listed: list[ListedImage]) -> None:
    assert list(read_list(encode_list(listed))) == listed


def test_a_list_of_im2rec_is_read() -> None:
    text = b"0\t1.000000\tcats/1 a.jpg\r\n2\t0.000000\t4.5\tdogs/2.jpg\r\n"
    assert list(read_list(text)) == [
        ListedImage(0, (1.0,), "cats/1 a.jpg"),
        ListedImage(2, (0.0, 4.5), "dogs/2.jpg"),
    ]


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"short", "a.rec, record 2, byte 44: truncated: 5 bytes, an image record's header has 24"),
        (
            struct.pack("<IfQQ", 2**31, 0, 0, 0) + b"12345678",
            "a.rec, record 2, byte 44: the header promises 2147483648 labels, .* bytes for 2",
        ),
    ],
)
def test_a_broken_image_record_is_named(payload: bytes, message: str) -> None:
    stream = io.BytesIO()
    write_image_records(stream, [ImageRecord((1.0,), b"1234")])
    write_record(stream, payload)
    with pytest.raises(FormatError, match=message):
        list(read_image_records(io.BytesIO(stream.getvalue()), "a.rec"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"0\t0\n1 8\n", "a.idx, line 2: '1 8' is no line of an index"),
        (b"0\t-4\n", "line 1: "),
        (b"0\t" + b"9" * 5000 + b"\n", "line 1: .* is larger than 64 bits"),
    ],
)
def test_a_broken_index_is_named(text: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_index(text, "a.idx")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"0\t1\ta.jpg\n\n1\tb.jpg\n", "a.lst, line 3: 2 columns"),
        (b"0\tcat\ta.jpg\n", "a.lst, line 1, column 2: 'cat' is no finite number"),
        (b"0.5\t1\ta.jpg\n", "a.lst, line 1, column 1: '0.5' is no index"),
        (b"0\t1\ta.jpg\n1\t1\t\xff.jpg\n", "a.lst, line 2: the byte 0xff is no UTF-8"),
        (b"\x1f\x8b\x08", "a.lst, byte 0: the file is gzip-compressed"),
    ],
)
def test_a_broken_list_is_named(text: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        list(read_list(text, "a.lst"))


def test_an_index_beyond_the_end_is_an_error() -> None:
    with pytest.raises(FormatError, match=r"a\.rec, byte 99: no record begins here"):
        read_image_record_at(io.BytesIO(b""), 99, "a.rec")


def test_what_no_record_can_hold_is_refused() -> None:
    for record in (
        ImageRecord((), b""),
        ImageRecord((1e300,), b""),
        ImageRecord((1.0, 1e300), b""),
        ImageRecord((1.0,), b"", id=-1),
    ):
        with pytest.raises(ValueError, match=r"label|ids"):
            pack(record)
    with pytest.raises(ValueError, match="path"):
        encode_list([ListedImage(0, (1.0,), "a\tb")])


@given(st.binary(max_size=60))
def test_any_bytes_are_images_or_a_format_error(data: bytes) -> None:
    for read in (
        lambda: list(read_image_records(io.BytesIO(data))),
        lambda: list(read_image_records(io.BytesIO(MAGIC_BYTES + data))),
        lambda: unpack(data),
        lambda: read_index(data),
        lambda: list(read_list(data)),
    ):
        with contextlib.suppress(FormatError):
            read()


MXNET_READS_AND_WRITES = """
from mxnet import recordio
import numpy as np

ours = recordio.MXIndexedRecordIO("ours.idx", "ours.rec", "r")
assert ours.keys == [7, 9, 11], ours.keys
header, image = recordio.unpack(ours.read_idx(9))
assert (header.id, header.id2, image) == (9, 5, b"\\x0a\\x23\\xd7\\xce" * 2), (header, image)
assert header.label.tolist() == [1.5, -2.0, 3.0], header
header, image = recordio.unpack(ours.read_idx(7))
assert (header.label, image) == (4.0, b"jpeg"), header

theirs = recordio.MXIndexedRecordIO("theirs.idx", "theirs.rec", "w")
for key, label, image in ((0, 4.0, b"jpeg"), (3, [1.5, -2.0], b"\\x0a\\x23\\xd7\\xce" * 2)):
    theirs.write_idx(key, recordio.pack(recordio.IRHeader(0, label, key, 5), image))
theirs.close()
"""


def test_images_are_exchanged_with_mxnet(mxnet_python: Path, tmp_path: Path) -> None:
    index: dict[int, int] = {}
    ours = [
        ImageRecord((4.0,), b"jpeg", 7),
        ImageRecord((1.5, -2.0, 3.0), MAGIC_BYTES * 2, 9, 5),
        ImageRecord((0.0,), b"", 11),
    ]
    with (tmp_path / "ours.rec").open("wb") as out:
        write_image_records(out, ours, index)
    (tmp_path / "ours.idx").write_bytes(encode_index(index))
    done = subprocess.run(
        [mxnet_python, "-W", "ignore", "-c", MXNET_READS_AND_WRITES],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    theirs = [ImageRecord((4.0,), b"jpeg", 0, 5), ImageRecord((1.5, -2.0), MAGIC_BYTES * 2, 3, 5)]
    with (tmp_path / "theirs.rec").open("rb") as stream:
        assert list(read_image_records(stream)) == theirs
        places = read_index((tmp_path / "theirs.idx").read_bytes())
        assert [read_image_record_at(stream, places[key]) for key in (0, 3)] == theirs
    again, places_again = io.BytesIO(), dict[int, int]()
    write_image_records(again, theirs, places_again)
    assert again.getvalue() == (tmp_path / "theirs.rec").read_bytes()
    assert encode_index(places_again) == (tmp_path / "theirs.idx").read_bytes()

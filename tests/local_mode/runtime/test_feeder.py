"""What goes into a pipe for each kind of record, and what cannot."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import sagelocal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sagelocal.runtime.feeder import stream
from sagelocal.runtime.feeder.stream import Stream
from sagelocal.runtime.feeder.unzip import FeedError, unzipped
from sagelocal_formats.recordio import read_records

CONTENTS = st.lists(st.binary(max_size=200) | st.just(bytes(range(256)) * 1000), max_size=5)


def sent(items: list[dict[str, Any]], **options: bool) -> bytes:
    """What a reader gets."""
    reading, writing = os.pipe()
    received: list[bytes] = []

    def read() -> None:
        with open(reading, "rb") as pipe:
            received.append(pipe.read())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        Stream(writing, **{"gzip": False, "recordio": False, **options}).send(items)
    finally:
        os.close(writing)
        reader.join()
    return received[0]


def files(folder: Path, contents: list[bytes]) -> list[dict[str, Any]]:
    items = []
    for number, content in enumerate(contents):
        (folder / str(number)).write_bytes(content)
        items.append({"file": str(folder / str(number)), "source": f"s3://b/{number}"})
    return items


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(CONTENTS, st.booleans(), st.booleans())
def test_what_is_read_is_what_was_stored(
    tmp_path: Path, contents: list[bytes], zipped: bool, wrapped: bool
) -> None:
    stored = [gzip.compress(content) for content in contents] if zipped else contents
    read = sent(files(tmp_path, stored), gzip=zipped, recordio=wrapped)
    if wrapped:
        assert list(read_records(io.BytesIO(read))) == contents
    else:
        assert read == b"".join(contents)


def test_a_record_larger_than_what_is_kept_in_memory_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "KEPT_BYTES", 1000)
    contents = [os.urandom(3 << 20), b"x", os.urandom(1 << 20)]
    items = files(tmp_path, [gzip.compress(content, 1) for content in contents])
    read = sent(items, gzip=True, recordio=True)
    assert list(read_records(io.BytesIO(read))) == contents


WITHOUT_ISAL = r"""
import io, sys
sys.path.append(sys.argv[1])
from sagelocal.runtime.feeder.unzip import FeedError, unzipped
assert "isal" not in sys.modules
zipped = sys.stdin.buffer.read()
sys.stdout.buffer.write(b"".join(unzipped(io.BytesIO(zipped), "s3://b/k")))
try:
    list(unzipped(io.BytesIO(zipped[:10] + b"\xff" * 90), "s3://b/k"))
except FeedError as error:
    assert "s3://b/k cannot be decompressed" in str(error)
else:
    raise AssertionError("the damage was not seen")
"""


def test_zlib_stands_in_where_isal_is_not_installed() -> None:
    content = os.urandom(1 << 20) + bytes(1 << 20)
    root = str(Path(sagelocal.__path__[0]).parent)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", WITHOUT_ISAL, root],
        input=gzip.compress(content[:100]) + gzip.compress(content[100:]),
        stdout=subprocess.PIPE,
        check=True,
    )
    assert done.stdout == content


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.integers(0, 50))
def test_members_and_trailing_zeros_of_gzip_are_one_content(
    members: list[bytes], zeros: int
) -> None:
    zipped = b"".join(map(gzip.compress, members)) + bytes(zeros)
    assert b"".join(unzipped(io.BytesIO(zipped), "s3://b/k")) == b"".join(members)


@given(st.binary(min_size=1, max_size=300), st.data())
def test_gzip_that_was_cut_off_is_never_taken_for_whole(content: bytes, data: Any) -> None:
    zipped = gzip.compress(content)
    cut = data.draw(st.integers(1, len(zipped) - 1))
    with pytest.raises(FeedError, match="s3://b/k ends in the middle"):
        list(unzipped(io.BytesIO(zipped[:cut]), "s3://b/k"))


@given(st.binary(min_size=2, max_size=100))
def test_what_is_no_gzip_is_said_with_its_source(content: bytes) -> None:
    with pytest.raises(FeedError, match="s3://b/k cannot be decompressed"):
        list(unzipped(io.BytesIO(b"no" + content), "s3://b/k"))


def test_texts_are_wrapped_like_objects() -> None:
    texts = ["", "1", "ä" * 1000]
    read = sent([{"text": text} for text in texts], recordio=True)
    assert list(read_records(io.BytesIO(read))) == [text.encode() for text in texts]


def test_an_object_too_large_for_a_record_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(stream.MAX_RECORDIO_BYTES + 1)
    item = {"file": str(large), "source": "s3://b/large"}
    with pytest.raises(FeedError, match=r"s3://b/large has 536870912 bytes; a RecordIO record"):
        sent([item], recordio=True)

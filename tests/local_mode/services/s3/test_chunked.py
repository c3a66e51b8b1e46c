r"""aws-chunked bodies byte by byte: what S3 accepts, and what it refuses.

The first cases follow the examples of the Amazon S3 API Reference, "Signature Calculations for the
Authorization Header: Transferring Payload in Multiple Chunks (Chunked Upload)" and "... Including
Trailing Headers": 66,560 letters `a` in chunks of 64 KiB.
"""

from __future__ import annotations

import io
import zlib
from base64 import b64encode
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal.services.s3.chunked import ChunkedReader, MalformedChunks

SIGNATURE = b";chunk-signature=" + b"0123456789abcdef" * 4
EXAMPLE = b"a" * 66_560


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


def signed(*parts: bytes) -> bytes:
    return b"".join(chunk(part, SIGNATURE) for part in (*parts, b""))


def crc32(data: bytes) -> str:
    return b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


GOLDEN = {
    "signed": (
        {"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"},
        signed(EXAMPLE[:65_536], EXAMPLE[65_536:]),
    ),
    "signed with trailer": (
        {
            "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            "x-amz-trailer": "x-amz-checksum-crc32c",
        },
        chunk(EXAMPLE[:65_536], SIGNATURE)
        + chunk(EXAMPLE[65_536:], SIGNATURE)
        + b"0"
        + SIGNATURE
        + b"\r\n"
        + b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
        + b"x-amz-trailer-signature:"
        + b"0123456789abcdef" * 4
        + b"\r\n\r\n",
    ),
    "unsigned with trailer": (
        {
            "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "x-amz-trailer": "x-amz-checksum-crc32",
        },
        chunk(EXAMPLE) + b"0\r\nx-amz-checksum-crc32:" + crc32(EXAMPLE).encode() + b"\r\n\r\n",
    ),
    "trailer with spaces and no last line": (
        {
            "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "x-amz-trailer": "x-amz-checksum-crc32",
        },
        chunk(EXAMPLE) + b"0\r\nX-Amz-Checksum-CRC32: " + crc32(EXAMPLE).encode() + b"\r\n",
    ),
    "named by its encoding only": ({}, chunk(EXAMPLE[:1]) + chunk(EXAMPLE[1:]) + b"0\r\n\r\n"),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_payload_is_taken_out_of_its_chunks(server: Any, bucket: str, name: str) -> None:
    headers, body = GOLDEN[name]
    answer = server.request(
        "PUT",
        f"/{bucket}/key",
        body,
        {
            "content-encoding": "aws-chunked,gzip",
            "x-amz-decoded-content-length": str(len(EXAMPLE)),
            **headers,
        },
    )
    assert answer.status == 200, answer.body
    got = server.request("GET", f"/{bucket}/key")
    assert got.body == EXAMPLE
    assert got.headers["content-encoding"] == "gzip"


BROKEN = {
    "cut in a chunk": (chunk(b"hello")[:-4], "IncompleteBody"),
    "cut before the last chunk": (chunk(b"hello"), "IncompleteBody"),
    "no size": (b"hello\r\n", "IncompleteBody"),
    "a chunk longer than it says": (b"4\r\nhello\r\n0\r\n\r\n", "IncompleteBody"),
    "fewer bytes than promised": (chunk(b"hell") + b"0\r\n\r\n", "IncompleteBody"),
    "more bytes than promised": (chunk(b"hello!") + b"0\r\n\r\n", "IncompleteBody"),
    "a wrong trailer": (
        chunk(b"hello") + b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
        "BadDigest",
    ),
    "a trailer that is no checksum": (
        chunk(b"hello") + b"0\r\nx-amz-checksum-crc32:zzz\r\n\r\n",
        "InvalidRequest",
    ),
    "no trailer though one was promised": (chunk(b"hello") + b"0\r\n\r\n", "MalformedTrailerError"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_body_leaves_the_object_that_was_there(
    server: Any, s3: Any, bucket: str, name: str
) -> None:
    s3.put_object(Bucket=bucket, Key="key", Body=b"before")
    files = server.object_files()
    body, code = BROKEN[name]
    answer = server.request(
        "PUT",
        f"/{bucket}/key",
        body,
        {
            "content-encoding": "aws-chunked",
            "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "x-amz-decoded-content-length": "5",
            "x-amz-trailer": "x-amz-checksum-crc32",
        },
    )
    assert (answer.status, f"<Code>{code}</Code>".encode() in answer.body) == (400, True)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"before"
    assert files == server.object_files()


def test_lengths_must_be_told(server: Any, bucket: str) -> None:
    headers = {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}
    answer = server.request("PUT", f"/{bucket}/key", chunk(b"x") + b"0\r\n\r\n", headers)
    assert answer.status == 411
    assert b"<Code>MissingContentLength</Code>" in answer.body
    answer = server.request(
        "PUT", f"/{bucket}/key", b"1\r\nx\r\n0\r\n\r\n", {"transfer-encoding": "chunked"}
    )
    assert answer.status == 411


def test_an_unseekable_stream_of_boto3_arrives_whole(s3: Any, bucket: str) -> None:
    class Pipe(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self._data = io.BytesIO(data)

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1, /) -> bytes:
            return self._data.read(size)

    body = bytes(range(256)) * 10_000
    s3.upload_fileobj(Pipe(body), bucket, "key")
    assert body == s3.get_object(Bucket=bucket, Key="key")["Body"].read()


class Trickle(io.RawIOBase):
    """A stream that gives as many bytes at a time as it is told, whatever is asked for."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data = io.BytesIO(data)
        self._sizes = sizes

    def read(self, size: int = -1, /) -> bytes:
        return self._data.read(self._sizes.pop() if self._sizes else size)


def read_all(stream: BinaryIO | Trickle, size: int) -> tuple[bytes, dict[str, str]]:
    reader = ChunkedReader(stream)  # type: ignore[arg-type]  # read is all it uses
    parts = []
    while part := reader.read(size):
        parts.append(part)
    assert reader.read(size) == b""
    return b"".join(parts), reader.trailers


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    st.booleans(),
    st.integers(1, 50),
    st.lists(st.integers(1, 30), max_size=60),
)
def test_reading_is_the_inverse_of_chunking(
    parts: list[bytes], with_signature: bool, size: int, sizes: list[int]
) -> None:
    extension = SIGNATURE if with_signature else b""
    body = b"".join(chunk(part, extension) for part in parts)
    body += b"0" + extension + b"\r\na:1\r\nB: 2\r\n\r\n"
    assert (b"".join(parts), {"a": "1", "b": "2"}) == read_all(Trickle(body, sizes), size)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        payload, _ = read_all(io.BytesIO(body), 16)
    except MalformedChunks:
        return
    assert len(payload) <= len(body)

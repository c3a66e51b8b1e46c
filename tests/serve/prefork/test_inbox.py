"""Bytes in, requests out, however the bytes are cut."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal_serve.prefork.head import NotHttp
from sagelocal_serve.prefork.inbox import Inbound, Inbox

SIZED = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;name=value\r\nhello\r\n1 \r\n \r\n5\r\nworld\r\n0\r\nX-Trailer: y\r\n\r\n"
)
BARE = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"


def _all(inbox: Inbox, pieces: list[bytes]) -> list[Inbound]:
    found = []
    for piece in pieces:
        request = inbox.receive(piece)
        while request is not None:
            found.append(request)
            request = None if inbox.is_empty else inbox.receive(b"")
    return found


def _cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted({p for p in places if p < len(data)}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(bounds)]


@given(st.lists(st.integers(1, 400)))
def test_requests_are_the_same_wherever_the_bytes_are_cut(places: list[int]) -> None:
    data = SIZED + BARE + CHUNKED + SIZED
    inbox = Inbox(None)
    found = _all(inbox, _cut(data, places))
    assert [r.body for r in found] == [b"hello", b"", b"hello world", b"hello"]
    assert found[1].head.environ["PATH_INFO"] == "/ping"
    assert inbox.is_empty


@given(st.lists(st.binary(min_size=1, max_size=50)), st.lists(st.integers(1, 400)))
def test_chunks_join_to_the_body(chunks: list[bytes], places: list[int]) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    (request,) = _all(Inbox(None), _cut(head + body + b"0\r\n\r\n", places))
    assert request.body == b"".join(chunks)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [7, 8, 9, 5000])
def test_no_more_than_a_byte_beyond_the_limit_is_kept(size: int, chunked: bool) -> None:
    if chunked:
        head = b"Transfer-Encoding: chunked"
        body = b"1\r\nx\r\n" * size + b"0\r\n\r\n"
    else:
        head = b"Content-Length: %d" % size
        body = b"x" * size
    data = b"POST / HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n%b" % (head, body)
    first, second = _all(Inbox(8), [data[:100], data[100:] + BARE])
    assert len(first.body) == min(size, 9)
    assert second.head.environ["REQUEST_METHOD"] == "GET"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"this is no request\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00", 400),
        (b"GET / HTTP/1.1\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfive\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\nx\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n", 400),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"X-Name: value\r\n" * 500 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70000, 431),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70000 + b"\r\n\r\n", 431),
    ],
)
def test_what_is_no_request_is_refused(data: bytes, status: int) -> None:
    inbox = Inbox(None)
    with pytest.raises(NotHttp) as refused:
        _all(inbox, [data])
    assert refused.value.status == status


@given(st.binary(max_size=300))
def test_any_bytes_are_waited_on_or_refused(data: bytes) -> None:
    inbox = Inbox(100)
    with contextlib.suppress(NotHttp):
        for request in _all(inbox, [data, data]):
            assert len(request.body) <= 101

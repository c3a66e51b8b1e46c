"""What leaves for what an application returns; a socket pair stands for the connection."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from http.client import HTTPResponse
from typing import Any

import pytest
from sagelocal_serve.prefork.answer import Answer, CallerGone, Outlet
from sagelocal_serve.prefork.head import read_head

Application = Callable[[Callable[..., Any]], Iterable[bytes]]


def _raw(application: Application, method: str = "GET", version: str = "1.1") -> tuple[bytes, bool]:
    """The bytes of the answer, and whether the connection may go on."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        head = read_head(f"{method} / HTTP/{version}\r\nHost: x\r\n\r\n".encode())
        answer = Answer(Outlet(ours, lambda: None), head, head.keeps_alive)
        answer.finish(application(answer.start_response))
        ours.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: theirs.recv(65536), b"")), answer.keeps_alive


def _read(data: bytes) -> HTTPResponse:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(data)
        response = HTTPResponse(theirs)
        response.begin()
        return response


def _whole(status: str = "200 OK", *headers: tuple[str, str]) -> Application:
    def application(start: Callable[..., Any]) -> Iterable[bytes]:
        start(status, list(headers))
        return [b"he", b"llo"]

    return application


def _in_pieces(start: Callable[..., Any]) -> Iterator[bytes]:
    start("200 OK", [("Content-Type", "text/plain")])
    yield b"he"
    yield b""
    yield b"llo"


def test_body_that_is_there_has_a_length() -> None:
    data, keeps_alive = _raw(_whole("201 Created", ("X-Name", "välue")))
    response = _read(data)
    assert (response.status, response.reason) == (201, "Created")
    assert response.getheader("Content-Length") == "5"
    assert response.getheader("X-Name") == "välue"
    assert response.getheader("Date", "").endswith(" GMT")
    assert (response.read(), keeps_alive) == (b"hello", True)


def test_body_in_pieces_is_chunked() -> None:
    data, keeps_alive = _raw(_in_pieces)
    response = _read(data)
    assert response.getheader("Transfer-Encoding") == "chunked"
    assert (response.read(), keeps_alive) == (b"hello", True)


def test_body_in_pieces_ends_with_the_connection_in_http_1_0() -> None:
    data, keeps_alive = _raw(_in_pieces, version="1.0")
    response = _read(data)
    assert response.getheader("Transfer-Encoding") is None
    assert (response.read(), keeps_alive) == (b"hello", False)


def test_head_request_gets_no_body() -> None:
    for application in (_whole(), _in_pieces):
        data, _ = _raw(application, method="HEAD")
        assert data.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_status_without_content_gets_no_body(status: str) -> None:
    data, keeps_alive = _raw(_whole(status))
    assert data.endswith(b"\r\n\r\n")
    assert b"Content-Length" not in data
    assert keeps_alive


def test_application_may_ask_for_the_end_of_the_connection() -> None:
    data, keeps_alive = _raw(_whole("200 OK", ("Connection", "close")))
    assert data.count(b"Connection: close\r\n") == 1
    assert not keeps_alive


def test_write_of_old_applications_works() -> None:
    def application(start: Callable[..., Any]) -> Iterable[bytes]:
        write = start("200 OK", [("Content-Length", "5")])
        write(b"he")
        return [b"llo"]

    assert _read(_raw(application)[0]).read() == b"hello"


def test_error_after_start_response_may_replace_the_head() -> None:
    def application(start: Callable[..., Any]) -> Iterable[bytes]:
        start("200 OK", [])
        start("500 Internal Server Error", [], (ValueError, ValueError("x"), None))
        return [b""]

    assert _read(_raw(application)[0]).status == 500


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("200 OK\r\nX: y", []),
        ("OK", []),
        ("200 OK", [("X", "a\r\nSet-Cookie: b")]),
        ("200 OK", [("X Y", "a")]),
    ],
)
def test_head_that_would_break_the_framing_is_an_error(
    status: str, headers: list[tuple[str, str]]
) -> None:
    with pytest.raises(ValueError, match=r"HTTP status|header"):
        _raw(_whole(status, *headers))


def test_body_is_closed_even_if_the_caller_is_gone() -> None:
    closed = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"x"] * 1000)

        def close(self) -> None:
            closed.append(True)

    def application(start: Callable[..., Any]) -> Iterable[bytes]:
        start("200 OK", [])
        return Body()

    ours, theirs = socket.socketpair()
    theirs.close()
    with ours:
        head = read_head(b"GET / HTTP/1.1\r\n\r\n")
        answer = Answer(Outlet(ours, lambda: None), head, True)
        with pytest.raises(CallerGone):
            answer.finish(application(answer.start_response))
    assert closed == [True]

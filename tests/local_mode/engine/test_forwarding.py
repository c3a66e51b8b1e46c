"""Requests over kept connections, against servers that behave badly on the socket itself."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sagelocal.engine.forwarding import Connections, NoAnswer, OpenAnswer, TooLarge, TooSlow

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

MOST_BYTES = 1000

Talk = Callable[[socket.socket, int], None]


@contextmanager
def server(talk: Talk) -> Iterator[tuple[Connections, list[int]]]:
    """A server that has `talk(socket, number)` with each connection; and the numbers so far."""
    seen: list[int] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            seen.append(len(seen))
            threading.Thread(target=serve, args=(connection, seen[-1]), daemon=True).start()

    def serve(connection: socket.socket, number: int) -> None:
        with connection:
            talk(connection, number)

    thread = threading.Thread(target=accept)
    thread.start()
    connections = Connections(f"http://127.0.0.1:{listener.getsockname()[1]}")
    try:
        yield connections, seen
    finally:
        connections.close()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def request_of(connection: socket.socket) -> bytes:
    """One request, whose body is `body`; empty when the client has gone."""
    received = b""
    while not received.endswith(b"body"):
        block = connection.recv(4096)
        if not block:
            return b""
        received += block
    return received


def post(connections: Connections, seconds: float = 5.0) -> bytes:
    headers = {"Content-Type": "text/csv"}
    return connections.post("/invocations", b"body", headers, seconds, MOST_BYTES).body


def open_stream(
    connections: Connections, answer_seconds: float = 5.0, end_seconds: float = 5.0
) -> OpenAnswer:
    return connections.open("/invocations", b"body", {}, answer_seconds, end_seconds)


def test_one_connection_is_used_for_one_request_after_another() -> None:
    def talk(connection: socket.socket, number: int) -> None:
        while request_of(connection):
            connection.sendall(OK)

    with server(talk) as (connections, seen):
        assert [post(connections) for _ in range(5)] == [b"ok"] * 5
        assert seen == [0]


def test_what_is_sent_is_a_plain_http_request() -> None:
    requests: list[bytes] = []

    def talk(connection: socket.socket, number: int) -> None:
        requests.append(request_of(connection))
        connection.sendall(OK)

    with server(talk) as (connections, _):
        post(connections)
    (lines,) = [request.split(b"\r\n") for request in requests]
    assert lines[0] == b"POST /invocations HTTP/1.1"
    assert lines[1].startswith(b"Host: 127.0.0.1:")
    assert lines[2:] == [b"Content-Type: text/csv", b"Content-Length: 4", b"", b"body"]


def test_a_connection_that_the_container_closed_while_idle_is_replaced() -> None:
    closed = threading.Event()

    def talk(connection: socket.socket, number: int) -> None:
        request_of(connection)
        connection.sendall(OK)
        connection.close()
        closed.set()

    with server(talk) as (connections, seen):
        for _ in range(3):
            closed.clear()
            assert post(connections) == b"ok"
            assert closed.wait(5)
        assert seen == [0, 1, 2]


def test_a_request_that_meets_the_close_of_a_kept_connection_is_sent_again() -> None:
    def talk(connection: socket.socket, number: int) -> None:
        request_of(connection)
        connection.sendall(OK)
        if request_of(connection) and number > 0:
            connection.sendall(OK)

    with server(talk) as (connections, seen):
        assert post(connections) == b"ok"
        assert post(connections) == b"ok"
        assert seen == [0, 1]


def test_a_request_that_a_container_died_of_is_not_sent_again() -> None:
    requests: list[bytes] = []

    def talk(connection: socket.socket, number: int) -> None:
        requests.append(request_of(connection))
        connection.sendall(OK)
        requests.append(request_of(connection))
        time.sleep(0.2)

    with server(talk) as (connections, seen):
        post(connections)
        with pytest.raises(NoAnswer, match="without response"):
            post(connections)
        assert (len(requests), seen) == (2, [0])


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ncut", b"nonsense\r\n\r\n"],
    ids=["none", "cut", "not http"],
)
def test_an_answer_that_is_none_is_told(answer: bytes) -> None:
    def talk(connection: socket.socket, number: int) -> None:
        request_of(connection)
        connection.sendall(answer)

    with server(talk) as (connections, _), pytest.raises(NoAnswer):
        post(connections)


def test_a_chunked_answer_and_one_that_ends_with_its_connection_are_read() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"
    until_end = b"HTTP/1.0 200 OK\r\n\r\nok"

    def talk(connection: socket.socket, number: int) -> None:
        for answer in (chunked, until_end):
            request_of(connection)
            connection.sendall(answer)

    with server(talk) as (connections, seen):
        assert post(connections) == b"ok"
        assert post(connections) == b"ok"
        assert seen == [0]


@pytest.mark.parametrize(
    "beginning",
    [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"],
    ids=["before the status", "in the headers", "in the body"],
)
def test_the_time_limit_is_for_the_whole_answer_however_it_trickles(beginning: bytes) -> None:
    over = threading.Event()

    def talk(connection: socket.socket, number: int) -> None:
        request_of(connection)
        connection.sendall(beginning)
        while beginning and not over.wait(0.05):
            connection.sendall(b"x")
        over.wait(5)

    with server(talk) as (connections, _):
        with pytest.raises(TooSlow, match=r"no whole answer within 0\.4 seconds"):
            post(connections, 0.4)
        over.set()


def test_nobody_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(NoAnswer, match="refused"):
        post(Connections(address))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001,
        b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 1001,
    ],
    ids=["declared", "chunked", "until the end"],
)
def test_an_answer_over_the_limit_is_given_up_before_it_ends(answer: bytes) -> None:
    over = threading.Event()

    def talk(connection: socket.socket, number: int) -> None:
        request_of(connection)
        connection.sendall(answer)
        over.wait(5)

    with server(talk) as (connections, _):
        with pytest.raises(TooLarge, match="longer than 1000 bytes"):
            post(connections)
        over.set()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("beginning", "pieces"),
    [
        (CHUNKED, (b"3\r\none\r\n", b"3\r\ntwo\r\n0\r\n\r\n")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", (b"one", b"two")),
        (b"HTTP/1.0 200 OK\r\n\r\n", (b"one", b"two")),
    ],
    ids=["chunked", "declared", "until the end"],
)
def test_parts_are_handed_on_before_the_next_is_there(
    beginning: bytes, pieces: tuple[bytes, bytes]
) -> None:
    read_first = threading.Event()

    def talk(connection: socket.socket, number: int) -> None:
        request_of(connection)
        connection.sendall(beginning + pieces[0])
        assert read_first.wait(5)
        connection.sendall(pieces[1])

    with server(talk) as (connections, _):
        parts = open_stream(connections).parts()
        assert next(parts) == b"one"
        read_first.set()
        assert list(parts) == [b"two"]


def test_a_stream_read_to_its_end_leaves_its_connection_to_the_next_request() -> None:
    def talk(connection: socket.socket, number: int) -> None:
        while request_of(connection):
            connection.sendall(CHUNKED + b"2\r\nok\r\n0\r\n\r\n")

    with server(talk) as (connections, seen):
        for _ in range(3):
            assert list(open_stream(connections).parts()) == [b"ok"]
        assert post(connections) == b"ok"
        assert seen == [0]


def test_a_stream_closed_before_its_end_hangs_up_on_the_container() -> None:
    hung_up = threading.Event()

    def talk(connection: socket.socket, number: int) -> None:
        request_of(connection)
        connection.sendall(CHUNKED + b"3\r\none\r\n")
        if not connection.recv(1):
            hung_up.set()

    with server(talk) as (connections, _):
        answer = open_stream(connections)
        assert next(answer.parts()) == b"one"
        answer.close()
        assert hung_up.wait(5)


@pytest.mark.parametrize(
    "answer",
    [CHUNKED + b"6\r\none", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none"],
    ids=["chunked", "declared"],
)
def test_a_stream_that_is_cut_is_told_after_what_there_was(answer: bytes) -> None:
    def talk(connection: socket.socket, number: int) -> None:
        request_of(connection)
        connection.sendall(answer)

    with server(talk) as (connections, _):
        parts = open_stream(connections).parts()
        assert next(parts) == b"one"
        with pytest.raises(NoAnswer):
            next(parts)


@pytest.mark.parametrize("beginning", [CHUNKED, b"HTTP/1.0 200 OK\r\n\r\n"], ids=["kept", "closed"])
def test_a_stream_may_last_longer_than_its_beginning_but_not_for_ever(beginning: bytes) -> None:
    over = threading.Event()

    def talk(connection: socket.socket, number: int) -> None:
        request_of(connection)
        connection.sendall(beginning + b"3\r\none\r\n")
        over.wait(5)

    with server(talk) as (connections, _):
        parts = open_stream(connections, answer_seconds=5, end_seconds=0.3).parts()
        assert b"one" in next(parts)
        with pytest.raises(TooSlow, match=r"within 0\.3 seconds"):
            next(parts)
        over.set()

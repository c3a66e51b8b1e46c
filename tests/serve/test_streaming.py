"""Answers in pieces, over a socket: from an algorithm and from a script."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

Start = Callable[..., Any]
Wait = Callable[[Callable[[], bool]], None]


def test_the_first_piece_is_there_before_the_second_is_made(
    start_server: Start, model_dir: Path
) -> None:
    server = start_server("stepwise").wait_until_ready()
    with closing(server.connect()) as connection:
        connection.request("POST", "/invocations", b"x", {"Content-Type": "text/csv"})
        response = connection.getresponse()
        assert response.read1(100) == b"first "
        (model_dir / "go").touch()
        assert response.read() == b"second"
    assert (model_dir / "closed").exists()


def test_a_caller_who_leaves_ends_the_stream_and_lets_the_next_one_in(
    start_server: Start, model_dir: Path, wait_until: Wait
) -> None:
    server = start_server("stepwise").wait_until_ready()
    connection = server.connect()
    connection.request("POST", "/invocations", b"dots", {"Content-Type": "text/csv"})
    response = connection.getresponse()
    assert response.read1(6) == b"first "
    connection.close()
    response.close()
    wait_until((model_dir / "closed").exists)
    (model_dir / "go").touch()
    assert server.invoke(b"x", "text/csv").body == b"first second"


SCRIPT = """
def model_fn(model_dir):
    return None

def predict_fn(data, model):
    for number in data:
        if number < 0:
            raise ValueError("no negative numbers")
        yield number * 2
"""


def test_what_a_scripts_predict_fn_yields_is_streamed_where_the_format_has_lines(
    start_server: Start, model_dir: Path
) -> None:
    (model_dir / "code").mkdir()
    (model_dir / "code" / "inference.py").write_text(SCRIPT)
    server = start_server().wait_until_ready()
    for accept in ("application/jsonlines", "text/csv"):
        answer = server.invoke(b"1,2", "text/csv", Accept=accept)
        assert (answer.status, answer.body) == (200, b"2.0\n4.0\n")
        assert answer.headers["Transfer-Encoding"] == "chunked"
    for accept in ("application/json", "*/*"):
        answer = server.invoke(b"1,2", "text/csv", Accept=accept)
        assert (answer.status, answer.body) == (200, b"[2.0, 4.0]")
        assert answer.headers["Content-Length"] == "10"

    at_once = server.invoke(b"-1,2", "text/csv", Accept="text/csv")
    assert at_once.status == 500
    assert b"no negative numbers" in at_once.body
    with pytest.raises(http.client.IncompleteRead):
        server.invoke(b"1,-2", "text/csv", Accept="text/csv")
    assert server.invoke(b"1,2", "text/csv").status == 200


def test_a_batch_of_100_megabytes_in_chunks_arrives_whole(start_server: Start) -> None:
    server = start_server("count", SAGEMAKER_MAX_PAYLOAD_IN_MB="0").wait_until_ready()
    piece = bytes(1024 * 1024)
    pieces = (piece for _ in range(101))
    headers = {"Content-Type": "application/octet-stream"}
    with closing(server.connect()) as connection:
        connection.request("POST", "/invocations", pieces, headers, encode_chunked=True)
        assert connection.getresponse().read() == str(101 * len(piece)).encode()

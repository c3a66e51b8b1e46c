"""What callers see when a worker process dies: a reason, or nothing at all."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

Start = Callable[..., Any]
Wait = Callable[[Callable[[], bool]], None]


@pytest.mark.parametrize(
    ("death", "reason"),
    [
        (b"SIGSEGV", "it was ended by SIGSEGV."),
        (b"SIGKILL", "memory runs out"),
        (b"exit", "it ended with exit code 3."),
    ],
)
def test_request_that_kills_its_worker_gets_a_500_with_the_reason(
    death: bytes, reason: str, start_server: Start
) -> None:
    server = start_server("deadly").wait_until_ready()
    for _ in range(2):  # a worker that replaced another has no other manners
        answer = server.invoke(death)
        assert (answer.status, answer.headers["Content-Type"]) == (500, "application/json")
        body = json.loads(answer.body)
        assert (body["code"], body["type"]) == (500, "InternalServerException")
        assert reason in body["message"]
    assert server.invoke(b"alive").body == b"alive"


def test_worker_that_never_gives_back_pythons_lock_is_killed_and_the_caller_told(
    start_server: Start,
) -> None:
    server = start_server("deadly", MODEL_SERVER_TIMEOUT="2").wait_until_ready()
    answer = server.invoke(b"lock")
    assert answer.status == 500
    assert "no sign of life for 2 s" in json.loads(answer.body)["message"]
    assert server.invoke(b"alive").body == b"alive"


def test_long_request_is_a_sign_of_life(start_server: Start, model_dir: Path) -> None:
    server = start_server("holding", MODEL_SERVER_TIMEOUT="1").wait_until_ready()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(server.invoke, b"")
        with pytest.raises(TimeoutError):
            running.result(2.5)
        (model_dir / "go").touch()
        assert running.result().body == b"done"


def test_idle_connection_goes_on_in_the_next_worker(start_server: Start) -> None:
    server = start_server("echo").wait_until_ready()
    connection = server.connect()
    connection.connect()
    # Connections are dealt in their order, so that this worker has the first one too.
    before = int(server.invoke(b"pid").body)
    os.kill(before, signal.SIGKILL)
    connection.request("POST", "/invocations", b"pid", {"Content-Type": "text/plain"})
    assert int(connection.getresponse().read()) != before
    connection.close()


def test_all_requests_of_the_worker_that_died_are_answered(
    start_server: Start, model_dir: Path, wait_until: Wait
) -> None:
    server = start_server("deadly_holding", MODEL_SERVER_THREADS="2").wait_until_ready()
    with ThreadPoolExecutor() as pool:
        held = pool.submit(server.invoke, b"hold")
        wait_until((model_dir / "entered").exists)
        assert server.invoke(b"SIGKILL").status == 500
        assert held.result().status == 500


def test_half_a_request_is_answered_too(start_server: Start) -> None:
    server = start_server("deadly").wait_until_ready()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
        connection.sendall(head + b"half")
        # The worker has read that, because it answers what comes after it.
        assert server.invoke(b"alive").body == b"alive"
        assert server.invoke(b"exit").status == 500
        assert connection.recv(1000).startswith(b"HTTP/1.1 500 ")


def test_model_that_calls_exit_ends_no_worker(start_server: Start) -> None:
    server = start_server("deadly").wait_until_ready()
    before = server.invoke(b"pid").body
    answer = server.invoke(b"sys.exit")
    assert (answer.status, json.loads(answer.body)["code"]) == (500, 500)
    assert server.invoke(b"pid").body == before


def test_answer_that_has_begun_is_cut_off(start_server: Start) -> None:
    server = start_server("deadly").wait_until_ready()
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        server.invoke(b"stream")
    assert server.invoke(b"alive").body == b"alive"


def test_workers_end_with_their_supervisor(start_server: Start, wait_until: Wait) -> None:
    server = start_server("echo").wait_until_ready()
    worker = int(server.invoke(b"pid").body)
    server.process.kill()
    wait_until(lambda: not Path(f"/proc/{worker}").exists() or _is_zombie(worker))


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True

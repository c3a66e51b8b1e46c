"""The life of the server's process: start, refuse to start, end, be killed."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_two_planes_do_not_share_a_data_directory(start: Callable[..., Any]) -> None:
    first = start()
    second = start(first.data_dir)
    assert second.process.wait(timeout=30) == 1
    assert second.log() == (
        f"cannot start: process {first.process.pid} is already serving the data directory "
        f"{first.data_dir}; stop it with `sagelocal down`, or choose another one with --data\n"
    )
    assert first.client("s3").head_bucket(Bucket="b")


def test_a_new_data_directory_is_for_its_owner_only(start: Callable[..., Any]) -> None:
    server = start()
    assert server.client("s3").head_bucket(Bucket="b")
    assert server.data_dir.stat().st_mode & 0o777 == 0o700


def test_a_data_directory_that_was_there_keeps_its_permissions(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "shared").mkdir(mode=0o755)
    server = start(tmp_path / "shared")
    assert server.client("s3").head_bucket(Bucket="b")
    assert server.data_dir.stat().st_mode & 0o777 == 0o755


def test_more_clients_than_threads_ask_again_and_again_and_all_are_answered(
    start: Callable[..., Any],
) -> None:
    server = start()
    request = b"GET /_sagelocal/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    clients = [server.connect() for _ in range(150)]
    for _ in range(3):
        for client in clients:
            client.sendall(request)
        for client in clients:
            answer = b""
            while not answer.endswith(b"}"):
                answer += client.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 ")
    for client in clients:
        client.close()


def test_a_port_that_is_taken_is_one_line(start: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = start(None, port)
        assert server.process.wait(timeout=30) == 1
        assert server.log() == (
            f"cannot start: 127.0.0.1:{port} is already in use; choose another port with --port\n"
        )


def test_a_data_directory_that_cannot_be_is_one_line(
    start: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    server = start(tmp_path / "file" / "data")
    assert server.process.wait(timeout=30) == 1
    assert server.log() == (
        f"cannot start: cannot write to the data directory {tmp_path}/file/data: Not a directory; "
        "choose another one with --data\n"
    )


def test_a_plane_that_cannot_be_opened_is_one_line(start: Callable[..., Any]) -> None:
    server = start(None, 0, "fail")
    assert server.process.wait(timeout=30) == 1
    assert server.log() == (
        "cannot start: Docker does not answer; start it or use --runtime process\n"
    )


def test_a_killed_server_leaves_nothing_and_the_next_one_starts_at_once(
    start: Callable[..., Any], is_alive: Callable[[int], bool], eventually: Callable[..., None]
) -> None:
    first = start()
    assert first.client("s3").head_bucket(Bucket="b")
    worker = first.worker_pid()
    first.process.send_signal(signal.SIGKILL)
    second = start(first.data_dir, first.port)
    assert second.url == first.url
    assert second.client("s3").head_bucket(Bucket="b")
    eventually(lambda: not is_alive(worker))


def test_a_worker_that_dies_is_replaced(
    start: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    server = start()
    s3 = server.client("s3")
    assert s3.head_bucket(Bucket="b")
    old = server.worker_pid()
    os.kill(old, signal.SIGKILL)

    def answers_again() -> bool:
        try:
            return bool(s3.head_bucket(Bucket="b")) and server.worker_pid() != old
        except Exception:
            return False

    eventually(answers_again)


def test_it_ends_in_order_despite_idle_connections(start: Callable[..., Any]) -> None:
    server = start()
    clients = [server.client("s3") for _ in range(3)]
    for client in clients:
        client.head_bucket(Bucket="b")
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=15) == 0
    assert (server.data_dir / "closed").exists()


def test_a_call_in_flight_is_answered_before_it_ends(start: Callable[..., Any]) -> None:
    server = start()
    runtime = server.client("sagemaker-runtime")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answer = pool.submit(runtime.invoke_endpoint, EndpointName="sleep-0-8", Body=b"x")
        _until_logged_in(server)
        server.process.send_signal(signal.SIGTERM)
        assert answer.result()["Body"].read() == b"x"
    assert server.process.wait(timeout=30) == 0


def _until_logged_in(server: Any) -> None:
    """Until the worker has the connection of the call."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        table = Path(f"/proc/{server.worker_pid()}/net/tcp").read_text()
        if f":{server.port:04X} " in table and " 01 " in table:
            return
        time.sleep(0.01)


def test_many_slow_calls_at_once_do_not_hold_up_quick_ones(start: Callable[..., Any]) -> None:
    server = start()
    runtime = server.client("sagemaker-runtime", max_pool_connections=40)
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        slow = [
            pool.submit(runtime.invoke_endpoint, EndpointName="held-released", Body=b"x")
            for _ in range(40)
        ]
        assert server.client("s3").head_bucket(Bucket="b")
        assert not any(call.done() for call in slow)
        (server.data_dir / "released").touch()
        assert all(call.result() for call in slow)


def test_signals_that_would_make_a_second_plane_do_nothing(start: Callable[..., Any]) -> None:
    server = start()
    server.client("s3").head_bucket(Bucket="b")
    for number in (signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR2, signal.SIGWINCH):
        server.process.send_signal(number)
    worker = server.worker_pid()
    assert server.client("s3").head_bucket(Bucket="b")
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    assert children.read_text().split() == [str(worker)]


def test_a_closed_terminal_ends_it(start: Callable[..., Any]) -> None:
    server = start()
    server.client("s3").head_bucket(Bucket="b")
    server.process.send_signal(signal.SIGHUP)
    assert server.process.wait(timeout=30) == 0

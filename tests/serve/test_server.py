"""The console script as a process on a real port: its life from start to drained end."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import stat
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sagelocal_serve import Settings
from sagelocal_serve.server import bind

Start = Callable[..., Any]
Wait = Callable[[Callable[[], bool]], None]


@pytest.fixture(params=["prefork", "gunicorn"])
def engine(request: pytest.FixtureRequest) -> str:
    """Every manner is that of both servers."""
    return str(request.param)


def _workers(server: Any) -> list[int]:
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in children.split()]


def test_ready_server_answers_ping_with_200_and_nothing(start_server: Start) -> None:
    answer = start_server("echo").wait_until_ready().request("GET", "/ping")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("handler", ["slow_to_load", "slow_to_load_in_workers", "slow_to_prepare"])
def test_ping_says_503_while_loading_and_200_afterwards(
    handler: str, start_server: Start, model_dir: Path
) -> None:
    server = start_server(handler)
    loading = server.request("GET", "/ping")
    assert loading.status == 503
    assert json.loads(loading.body)["message"] == "The model is loading."
    (model_dir / "go").touch()
    server.wait_until_ready()


def test_invocation_while_loading_is_503(start_server: Start, model_dir: Path) -> None:
    server = start_server("slow_to_load")
    assert server.invoke(b"1,2").status == 503
    (model_dir / "go").touch()
    server.wait_until_ready()
    assert server.invoke(b"1,2").body == b"1,2"


def test_request_to_a_worker_without_its_model_waits_for_it_once_ping_was_healthy(
    start_server: Start, model_dir: Path, wait_until: Wait
) -> None:
    server = start_server("slow_to_load_but_in_one", MODEL_SERVER_WORKERS="2").wait_until_ready()
    with ThreadPoolExecutor(64) as pool:
        running = _calls_of_both_workers(server, pool, wait_until)
        assert server.request("GET", "/ping").status == 200
        (model_dir / "go").touch()
        answers = [call.result() for call in running]
    assert {answer.status for answer in answers} == {200}
    assert server.wait_for_line("Model loaded in", times=2)


def test_request_that_waited_for_a_model_is_told_if_it_cannot_be_loaded(
    start_server: Start, model_dir: Path, wait_until: Wait
) -> None:
    (model_dir / "fail").touch()
    server = start_server("slow_to_load_but_in_one", MODEL_SERVER_WORKERS="2").wait_until_ready()
    with ThreadPoolExecutor(64) as pool:
        running = _calls_of_both_workers(server, pool, wait_until)
        (model_dir / "go").touch()
        answers = [call.result() for call in running]
    assert {answer.status for answer in answers} <= {200, 500}
    refused = [json.loads(answer.body)["message"] for answer in answers if answer.status == 500]
    assert all("This model has changed." in message for message in refused)


def _calls_of_both_workers(
    server: Any, pool: ThreadPoolExecutor, wait_until: Wait
) -> list[Future[Any]]:
    """Calls of which one is answered: many connections at once, for both workers get some then.

    A worker that is quick to accept may have all of the first; then there are more.
    """
    running = [pool.submit(server.invoke, b"pid") for _ in range(8)]

    def one_is_answered() -> bool:
        if len(running) < 200:
            running.append(pool.submit(server.invoke, b"pid"))
        return any(call.done() for call in running)

    wait_until(one_is_answered)
    return running


def test_silent_visitor_while_loading_keeps_nobody_waiting(
    start_server: Start, model_dir: Path
) -> None:
    server = start_server("slow_to_load")
    with socket.create_connection(("127.0.0.1", server.port)):
        assert server.request("GET", "/ping").status == 503
        (model_dir / "go").touch()
        server.wait_until_ready()


@pytest.mark.parametrize("handler", ["broken", "broken_in_workers"])
def test_dead_model_is_500_with_a_reason_and_no_path(
    handler: str, start_server: Start, base_dir: Path, wait_until: Wait
) -> None:
    server = start_server(handler)
    wait_until(lambda: bool(server.request("GET", "/ping").status == 500))
    for answer in (server.request("GET", "/ping"), server.invoke(b"1")):
        assert answer.status == 500
        message = json.loads(answer.body)["message"]
        assert "FileNotFoundError" in message
        assert "weights.npy" in message
        assert str(base_dir) not in message
    server.wait_for_line("Traceback")


def test_sigterm_while_loading_ends_at_once(start_server: Start) -> None:
    server = start_server("slow_to_load")
    assert server.request("GET", "/ping").status == 503
    assert server.terminate() == 0


def test_sigterm_lets_the_running_request_finish(
    start_server: Start, model_dir: Path, wait_until: Wait
) -> None:
    server = start_server("holding").wait_until_ready()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(server.invoke, b"")
        wait_until((model_dir / "entered").exists)
        server.process.send_signal(signal.SIGTERM)

        def refused() -> bool:
            try:
                socket.create_connection(("127.0.0.1", server.port)).close()
            except ConnectionRefusedError:
                return True
            return False

        wait_until(refused)
        (model_dir / "go").touch()
        assert running.result().body == b"done"
    assert server.wait() == 0


def test_request_that_outlasts_the_grace_is_ended(
    start_server: Start, model_dir: Path, wait_until: Wait, engine: str
) -> None:
    server = start_server("holding", MODEL_SERVER_GRACEFUL_TIMEOUT="1").wait_until_ready()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(server.invoke, b"")
        wait_until((model_dir / "entered").exists)
        assert server.terminate() == 0
        if engine == "prefork":
            assert "stopped 1 s after SIGTERM" in json.loads(running.result().body)["message"]
        else:
            with pytest.raises((http.client.HTTPException, ConnectionError)):
                running.result()


def test_idle_kept_alive_connection_does_not_hold_up_the_end(start_server: Start) -> None:
    server = start_server("echo").wait_until_ready()
    connection = server.connect()
    connection.request("GET", "/ping")
    connection.getresponse().read()
    assert server.terminate() == 0
    connection.close()


def test_killed_worker_is_replaced(start_server: Start, wait_until: Wait) -> None:
    server = start_server("echo").wait_until_ready()
    before = int(server.invoke(b"pid").body)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: _workers(server) not in ([], [before]))
    assert before != int(server.invoke(b"pid").body)


def test_worker_that_dies_of_a_request_is_replaced(start_server: Start) -> None:
    server = start_server("deadly").wait_until_ready()
    with contextlib.suppress(http.client.HTTPException, ConnectionError):
        assert server.invoke(b"SIGKILL").status == 500
    assert server.invoke(b"alive").body == b"alive"
    server.wait_for_line("SIGKILL")


def test_as_many_workers_as_set_share_the_requests(start_server: Start, wait_until: Wait) -> None:
    server = start_server("echo", SAGEMAKER_MODEL_SERVER_WORKERS="3").wait_until_ready()
    wait_until(lambda: len(_workers(server)) == 3)
    assert server.request("GET", "/ping").status == 200


def test_model_is_loaded_once_for_all_workers_that_share_it(start_server: Start) -> None:
    server = start_server("echo", MODEL_SERVER_WORKERS="2").wait_until_ready()
    server.wait_for_line("Workers: 2")
    assert len(re.findall("Model loaded", server.log)) == 1


def test_model_is_loaded_by_every_worker_when_asked_for(start_server: Start) -> None:
    server = start_server("echo", MODEL_SERVER_WORKERS="2", MODEL_SERVER_SHARE_MODEL="false")
    server.wait_for_line("Model loaded", times=2)


def test_large_body_arrives_whole(start_server: Start) -> None:
    server = start_server("count").wait_until_ready()
    body = bytes(25 * 1024 * 1024)
    assert str(len(body)).encode() == server.invoke(body, "application/octet-stream").body


def test_chunked_body_arrives_whole(start_server: Start) -> None:
    server = start_server("echo").wait_until_ready()
    connection = server.connect()
    pieces = (b"piece %d\n" % n for n in range(100))
    connection.request(
        "POST", "/invocations", pieces, {"Content-Type": "text/plain"}, encode_chunked=True
    )
    expected = b"".join(b"piece %d\n" % n for n in range(100))
    assert expected == connection.getresponse().read()
    connection.close()


@pytest.mark.parametrize("chunked", [False, True])
def test_body_beyond_the_limit_is_413(chunked: bool, start_server: Start) -> None:
    server = start_server("echo", SAGEMAKER_MAX_REQUEST_SIZE="1000").wait_until_ready()
    connection = server.connect()
    body: Any = iter([b"x" * 600, b"x" * 600]) if chunked else b"x" * 1001
    connection.request("POST", "/invocations", body, {"Content-Type": "text/plain"})
    response = connection.getresponse()
    assert response.status == 413
    assert "larger than 1000 bytes" in json.loads(response.read())["message"]
    connection.close()
    assert server.invoke(b"x" * 1000).status == 200


@pytest.mark.parametrize("chunked", [False, True])
def test_caller_of_far_too_much_still_learns_why(chunked: bool, start_server: Start) -> None:
    server = start_server("echo", SAGEMAKER_MAX_REQUEST_SIZE="1000").wait_until_ready()
    connection = server.connect()
    piece = bytes(1024 * 1024)
    body: Any = (piece for _ in range(50)) if chunked else piece * 50
    connection.request("POST", "/invocations", body, {"Content-Type": "text/plain"})
    assert connection.getresponse().status == 413
    connection.close()


def test_expect_100_continue_is_answered(start_server: Start) -> None:
    server = start_server("echo").wait_until_ready()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
            b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(b"hello")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK")


def test_one_connection_carries_many_requests(start_server: Start) -> None:
    server = start_server("echo").wait_until_ready()
    connection = server.connect()
    for number in range(50):
        connection.request("POST", "/invocations", b"%d" % number, {"Content-Type": "text/plain"})
        response = connection.getresponse()
        assert (response.read(), response.will_close) == (b"%d" % number, False)
    connection.close()


def test_answers_never_wait_for_delayed_acknowledgements() -> None:
    with (
        bind(Settings(host="127.0.0.1", port=0)) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_streamed_answer_arrives_in_chunks(start_server: Start) -> None:
    server = start_server("streaming").wait_until_ready()
    answer = server.invoke(b"")
    assert answer.body == b"piece 0\npiece 1\npiece 2\n"
    assert answer.headers["Transfer-Encoding"] == "chunked"


def test_stream_that_fails_midway_is_cut_off_and_lets_the_next_request_in(
    start_server: Start,
) -> None:
    server = start_server("breaking_off", SAGEMAKER_MODEL_JOB_QUEUE_SIZE="0").wait_until_ready()
    with pytest.raises(http.client.IncompleteRead):
        server.invoke(b"fail")
    assert server.invoke(b"go on").body == b"first piece\n"
    server.wait_for_line("ValueError: no second piece")


def test_algorithm_answers_through_http(start_server: Start) -> None:
    server = start_server("summing").wait_until_ready()
    assert server.invoke(b"1,2").body == b"3.5"
    parameters = server.request("GET", "/execution-parameters")
    assert json.loads(parameters.body)["BatchStrategy"] == "SINGLE_RECORD"


def test_requests_enter_the_model_one_at_a_time_by_default(start_server: Start) -> None:
    server = start_server("counting").wait_until_ready()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: server.invoke(b""), range(24)))
    assert {200} == {answer.status for answer in answers}
    assert server.invoke(b"").body == b"1"


def test_several_threads_let_several_requests_in(start_server: Start) -> None:
    server = start_server("counting", MODEL_SERVER_THREADS="4").wait_until_ready()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: server.invoke(b""), range(24)))
    assert 1 < int(server.invoke(b"").body) <= 4


def test_ping_is_answered_while_the_model_is_busy_and_the_queue_full(
    start_server: Start, model_dir: Path, wait_until: Wait
) -> None:
    server = start_server("holding", SAGEMAKER_MODEL_JOB_QUEUE_SIZE="2").wait_until_ready()
    with ThreadPoolExecutor() as pool:
        held = [pool.submit(server.invoke, b"") for _ in range(3)]
        wait_until((model_dir / "entered").exists)

        def rejected() -> bool:
            held.append(pool.submit(server.invoke, b""))
            return any(request.done() for request in held)

        wait_until(rejected)
        assert server.request("GET", "/ping").status == 200
        (model_dir / "go").touch()
        answers = [request.result() for request in held]
    refused = [answer for answer in answers if answer.status == 503]
    assert "SAGEMAKER_MODEL_JOB_QUEUE_SIZE" in json.loads(refused[0].body)["message"]
    assert {answer.body for answer in answers if answer not in refused} == {b"done"}


def test_what_is_not_http_gets_a_json_400(start_server: Start) -> None:
    server = start_server("echo").wait_until_ready()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"this is no request\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["code"] == 400
    assert b"<" not in body


def test_port_in_use_is_one_line_with_the_next_step(start_server: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        server = start_server("echo", SAGEMAKER_BIND_TO_PORT=port)
        assert server.wait() == 1
    assert len(server.lines) == 1
    assert f"port {port}: Address already in use" in server.log
    assert "SAGEMAKER_BIND_TO_PORT" in server.log


def test_wrong_settings_are_all_named_at_once(start_server: Start) -> None:
    server = start_server("echo", MODEL_SERVER_WORKERS="many", SAGEMAKER_BIND_TO_PORT="http")
    assert server.wait() == 1
    assert "MODEL_SERVER_WORKERS='many'" in server.log
    assert "SAGEMAKER_BIND_TO_PORT='http'" in server.log


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("no_such_module:app", "no module 'no_such_module'"),
        ("handlers_under_test:no_such_function", "has no 'no_such_function'"),
        ("handlers_under_test:nothing_servable", "neither a Handler nor a WSGI application"),
    ],
)
def test_unservable_module_is_one_line(module: str, expected: str, start_server: Start) -> None:
    server = start_server(SAGEMAKER_SERVING_MODULE=module)
    assert server.wait() == 1
    assert expected in server.lines[-1]


@pytest.mark.parametrize("name", ["wsgi", "wsgi_factory"])
def test_wsgi_application_of_ones_own_is_served_as_it_is(name: str, start_server: Start) -> None:
    server = start_server(name)
    server.wait_for_line("Workers: 1")
    assert server.request("GET", "/anything").body == b"GET /anything"


def test_flask_application_of_ones_own_is_served_and_logged(start_server: Start) -> None:
    server = start_server("flask_application", MODEL_SERVER_REQUEST_LOG="true")
    server.wait_for_line("Workers: 1")
    assert server.invoke(b"1,2").body == b"flask got 1,2"
    line = json.loads(server.wait_for_line(r'^\{.*"path".*')[0])
    assert (line["path"], line["status"], line["response_bytes"]) == ("/invocations", 200, 13)


def test_health_checks_are_not_logged(start_server: Start) -> None:
    server = start_server("echo", MODEL_SERVER_REQUEST_LOG="true").wait_until_ready()
    server.request("GET", "/ping")
    server.invoke(b"1,2", "text/csv")
    line = json.loads(server.wait_for_line(r'^\{.*"path".*')[0])
    assert (
        line["path"],
        line["status"],
        line["request_bytes"],
        line["content_type"],
    ) == ("/invocations", 200, 3, "text/csv")
    server.terminate()
    assert "/ping" not in server.log


def test_requests_are_not_logged_unless_asked_for(start_server: Start) -> None:
    server = start_server("echo").wait_until_ready()
    server.invoke(b"1,2", "text/csv")
    server.terminate()
    assert "/invocations" not in server.log


def test_home_and_working_folder_may_be_read_only(start_server: Start, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(stat.S_IRUSR | stat.S_IXUSR)
    server = start_server("echo", HOME=str(home)).wait_until_ready()
    assert server.invoke(b"1").body == b"1"
    assert list(home.iterdir()) == []


def test_nothing_is_left_behind(start_server: Start, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    server = start_server("echo", TMPDIR=str(scratch)).wait_until_ready()
    workers = _workers(server)
    assert server.terminate() == 0
    assert list(scratch.iterdir()) == []
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)

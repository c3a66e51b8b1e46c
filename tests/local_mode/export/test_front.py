"""The program before a pipeline, and containers that tell what they were asked."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sagelocal.export.chaining import front_arguments
from sagelocal.export.front import Front
from sagelocal.export.gate import Server

from tests.local_mode.export.conftest import MakeService


class Container(BaseHTTPRequestHandler):
    """Answers with its number, and what it was asked, in a type of its own."""

    number = 0
    fails = False

    def do_GET(self) -> None:
        self.answer(503 if self.fails else 200, b"", "text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        told = {
            "container": self.number,
            "type": self.headers["Content-Type"],
            "accept": self.headers["Accept"],
            "attributes": self.headers["X-Amzn-SageMaker-Custom-Attributes"],
            "body": body,
        }
        words = json.dumps(told).encode()
        self.answer(500 if self.fails else 200, words, f"application/of-{self.number}")

    def answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Amzn-SageMaker-Custom-Attributes", f"of-{self.number}")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


Ask = Callable[..., tuple[int, dict[str, str], bytes]]


@pytest.fixture
def pipeline() -> Iterator[Callable[..., Ask]]:
    """`pipeline(*kinds)` starts a container for each kind, and gives what asks them in turn."""
    with ExitStack() as stack:

        def serve(handler: type[BaseHTTPRequestHandler]) -> int:
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler))
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return server.server_port

        def start(*kinds: dict[str, Any], more: tuple[str, ...] = ()) -> Ask:
            ports = [
                str(serve(type("Numbered", (Container,), {"number": number, **kind})))
                for number, kind in enumerate(kinds, start=1)
            ]
            front = serve(type("Fronting", (Front,), {"containers": (*ports, *more)}))
            connection = http.client.HTTPConnection("127.0.0.1", front, timeout=30)
            stack.callback(connection.close)

            def ask(
                method: str, path: str, body: bytes | None = None, **headers: str
            ) -> tuple[int, dict[str, str], bytes]:
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                connection.request(method, path, body, named)
                answer = connection.getresponse()
                return answer.status, dict(answer.getheaders()), answer.read()

            return ask

        yield start


def test_each_answer_is_the_next_request(pipeline: Callable[..., Ask]) -> None:
    ask = pipeline({}, {})
    attributes = {"X_Amzn_SageMaker_Custom_Attributes": "mine"}

    status, headers, body = ask(
        "POST", "/invocations", b"1,2", Content_Type="text/csv", Accept="text/xml", **attributes
    )

    assert (status, headers["Content-Type"]) == (200, "application/of-2")
    assert headers["X-Amzn-SageMaker-Custom-Attributes"] == "of-2"
    second = json.loads(body)
    assert (second["container"], second["type"], second["accept"], second["attributes"]) == (
        2,
        "application/of-1",
        "text/xml",
        "mine",
    )
    first = json.loads(second["body"])
    assert first == {
        "container": 1,
        "type": "text/csv",
        "accept": None,
        "attributes": "mine",
        "body": "1,2",
    }


def test_what_is_no_success_ends_the_chain(pipeline: Callable[..., Ask]) -> None:
    ask = pipeline({"fails": True}, {})

    status, headers, body = ask("POST", "/invocations", b"1,2", Content_Type="text/csv")

    assert (status, headers["Content-Type"]) == (500, "application/of-1")
    assert json.loads(body)["container"] == 1


@pytest.mark.parametrize(
    ("kinds", "status"), [(({}, {}), 200), (({}, {"fails": True}), 503)], ids=["all", "one not"]
)
def test_it_is_healthy_when_all_are(
    kinds: tuple[dict[str, Any], ...], status: int, pipeline: Callable[..., Ask]
) -> None:
    ask = pipeline(*kinds)

    assert ask("GET", "/ping")[0] == status
    assert ask("GET", "/elsewhere")[0] == 404
    assert ask("POST", "/elsewhere", b"1")[0] == 404


def test_a_container_that_is_gone_is_named(pipeline: Callable[..., Ask]) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Container) as gone:
        port = gone.server_port
    ask = pipeline({}, more=(f"localhost:{port}",))

    status, _, body = ask("POST", "/invocations", b"1,2", Content_Type="text/csv")

    assert status == 502
    assert f"The container on localhost:{port}: ConnectionRefusedError" in body.decode()
    assert ask("GET", "/ping")[0] == 502


def test_a_burst_of_connections_is_taken_at_once() -> None:
    with Server(("127.0.0.1", 0), Front) as busy, ExitStack() as stack:
        for _ in range(100):
            connection = socket.create_connection(("127.0.0.1", busy.server_port), timeout=30)
            stack.enter_context(connection)


def test_the_text_that_is_exported_ends_at_sigterm(make_service: MakeService) -> None:
    dash, text, _, ports = front_arguments(make_service())
    with subprocess.Popen(
        [sys.executable, dash, text, "0", ports], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "handing requests through 8080\n"
        process.terminate()

    assert process.returncode == 0

"""The program before a container with many models, and a container that has room for two."""

from __future__ import annotations

import hashlib
import http.client
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sagelocal.domain.models import MODELS_FOLDER, ModelData
from sagelocal.export.chaining import front_arguments
from sagelocal.export.description import Files
from sagelocal.export.gate import Server
from sagelocal.export.loader import Container, Loader

from tests.local_mode.export.conftest import MakeService

ROOM = 2


def name_of(target: str) -> str:
    return hashlib.sha256(target.encode()).hexdigest()[:32]


@dataclass
class Memory:
    """What the container has loaded, and each call that changed that."""

    loaded: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


class ManyModels(BaseHTTPRequestHandler):
    """The multi-model contract, with room for two."""

    memory: Memory

    def do_GET(self) -> None:
        known = self.path == "/ping" or self.path.rpartition("/")[2] in self.memory.loaded
        self.answer(200 if known else 404, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/models":
            self.answer(self.load(json.loads(body)), b"")
            return
        name = self.path.split("/")[2]
        if name not in self.memory.loaded:
            self.answer(404, b"Model not found")
            return
        accepted = self.headers["Accept"] or ""
        self.answer(200, f"{name} {self.headers['Content-Type']} {accepted}: ".encode() + body)

    def do_DELETE(self) -> None:
        name = self.path.rpartition("/")[2]
        self.memory.loaded.remove(name)
        self.memory.told.append(f"unload {name}")
        self.answer(200, b"")

    def load(self, wanted: dict[str, str]) -> int:
        assert wanted["url"] == f"/opt/ml/models/{wanted['model_name']}/model"
        if len(self.memory.loaded) == ROOM:
            return 507
        self.memory.loaded.append(wanted["model_name"])
        self.memory.told.append(f"load {wanted['model_name']}")
        return 200

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/csv")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@dataclass
class Endpoint:
    """A loader before a container; `post` gives status and body."""

    memory: Memory
    port: int

    def post(self, target: str | None, body: bytes = b"1", **headers: str) -> tuple[int, bytes]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if target is not None:
            named["X-Amzn-SageMaker-Target-Model"] = target
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", "/invocations", body, named)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Callable[..., Endpoint]]:
    """`endpoint(keeps=True)` has the models a, b and c."""
    with ExitStack() as stack:

        def serve(server: ThreadingHTTPServer) -> int:
            stack.enter_context(server)
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return server.server_port

        def start(**settings: bool) -> Endpoint:
            memory = Memory()
            for target in "abc":
                (tmp_path / name_of(target) / "model").mkdir(parents=True)
            having = type("Having", (ManyModels,), {"memory": memory})
            port = serve(ThreadingHTTPServer(("127.0.0.1", 0), having))
            container = Container(str(port), str(tmp_path), **settings)
            loader = type("Loading", (Loader,), {"container": container})
            return Endpoint(memory, serve(Server(("127.0.0.1", 0), loader)))

        yield start


def test_a_model_is_loaded_when_it_is_asked_for_and_stays(
    endpoint: Callable[..., Endpoint],
) -> None:
    it = endpoint()
    first = it.post("a", b"1,2", Content_Type="text/csv", Accept="text/xml")

    assert first == (200, f"{name_of('a')} text/csv text/xml: 1,2".encode())
    assert it.post("a")[0] == 200
    assert it.memory.told == [f"load {name_of('a')}"]


def test_what_was_asked_for_longest_ago_makes_room(endpoint: Callable[..., Endpoint]) -> None:
    it = endpoint()

    assert [it.post(target)[0] for target in "abac"] == [200] * 4
    assert it.memory.told[-2:] == [f"unload {name_of('b')}", f"load {name_of('c')}"]


def test_a_model_that_the_container_lost_is_loaded_anew(endpoint: Callable[..., Endpoint]) -> None:
    it = endpoint()
    it.post("a")
    it.memory.loaded.clear()

    assert it.post("a")[0] == 200


def test_none_is_kept_where_the_endpoint_keeps_none(endpoint: Callable[..., Endpoint]) -> None:
    it = endpoint(keeps=False)

    assert [it.post(target)[0] for target in "aa"] == [200, 200]
    assert it.memory.told == [f"{what} {name_of('a')}" for what in ("load", "unload")] * 2


def test_many_at_once_each_get_their_model(endpoint: Callable[..., Endpoint]) -> None:
    it = endpoint()
    targets = "abc" * 8
    found: list[tuple[int, bytes]] = [(0, b"")] * len(targets)

    def ask(number: int) -> None:
        found[number] = it.post(targets[number])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(targets))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for target, (status, body) in zip(targets, found, strict=True):
        assert (status, body.split()[0].decode()) == (200, name_of(target))


@pytest.mark.parametrize(
    ("target", "status", "words"),
    [
        ("z", 404, b"There is no model 'z'"),
        (None, 400, b"Name the model by the header X-Amzn-SageMaker-Target-Model"),
    ],
)
def test_a_request_for_no_model_is_told(
    target: str | None, status: int, words: bytes, endpoint: Callable[..., Endpoint]
) -> None:
    assert endpoint().post(target) == (status, words)


def test_the_text_that_is_exported_ends_at_sigterm(make_service: MakeService) -> None:
    shelf = Files(ModelData("s3://models/", "prefix", MODELS_FOLDER), "s3://models/", "models")
    dash, text, _, *more = front_arguments(make_service(files=(shelf,), keeps_models=False))
    assert more == ["8080", "/opt/ml/models", "forget"]
    with subprocess.Popen(
        [sys.executable, dash, text, "0", *more], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "choosing among the models of 8080\n"
        process.terminate()

    assert process.returncode == 0

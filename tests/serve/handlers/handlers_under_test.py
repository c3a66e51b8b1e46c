"""Handlers that the tests put behind a real server; each shows one behaviour."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import flask
from sagelocal_serve import (
    Algorithm,
    AlgorithmHandler,
    ExecutionParameters,
    Handler,
    MediaType,
    Request,
    Response,
    Settings,
)

TEXT = MediaType.parse("text/plain")


class Echo:
    """Answers with the body it got; told by the body "pid", with its process id."""

    shares_memory = True

    def prepare(self, model_dir: Path) -> None:
        """Nothing to prepare."""

    def load(self, model_dir: Path) -> None:
        """Nothing to load."""

    def handle(self, request: Request) -> Response:
        if request.body == b"pid":
            return Response(str(os.getpid()).encode(), TEXT)
        if request.body == b"size":
            return Response(str(len(request.body)).encode(), TEXT)
        return Response(request.body, request.content_type, request.custom_attributes)

    def execution_parameters(self) -> ExecutionParameters | None:
        return None


class Count(Echo):
    """Answers with the number of bytes of the body."""

    def handle(self, request: Request) -> Response:
        return Response(str(len(request.body)).encode(), TEXT)


class SlowToLoad(Echo):
    """Loads until the file `go` exists in the model's folder."""

    def load(self, model_dir: Path) -> None:
        while not (model_dir / "go").exists():
            time.sleep(0.01)


class SlowToLoadInWorkers(SlowToLoad):
    """The same, in every worker."""

    shares_memory = False


class SlowToLoadButInOne(Echo):
    """Loads at once in the worker that comes first, and in the others like the one above."""

    shares_memory = False

    def load(self, model_dir: Path) -> None:
        try:
            (model_dir / "first").touch(exist_ok=False)
        except FileExistsError:
            SlowToLoad().load(model_dir)
            if (model_dir / "fail").exists():
                raise ValueError("This model has changed.") from None


class SlowToPrepare(Echo):
    """Prepares until the file `go` exists."""

    def prepare(self, model_dir: Path) -> None:
        while not (model_dir / "go").exists():
            time.sleep(0.01)


class Broken(Echo):
    """A model that cannot be loaded."""

    def load(self, model_dir: Path) -> None:
        raise FileNotFoundError(2, "No such file or directory", str(model_dir / "weights.npy"))


class BrokenInWorkers(Broken):
    """The same, in every worker."""

    shares_memory = False


class Holding(Echo):
    """Says by the file `entered` that a request is in it, and holds it until `go` exists."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def handle(self, request: Request) -> Response:
        (self._folder / "entered").touch()
        while not (self._folder / "go").exists():
            time.sleep(0.01)
        return Response(b"done", TEXT)


class Counting(Echo):
    """Answers with the largest number of requests that were ever in it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._most = 0

    def handle(self, request: Request) -> Response:
        with self._lock:
            self._inside += 1
            self._most = max(self._most, self._inside)
        time.sleep(0.02)
        with self._lock:
            self._inside -= 1
            return Response(str(self._most).encode(), TEXT)


class Deadly(Echo):
    """Ends its own process in the way that the body names."""

    def handle(self, request: Request) -> Response:
        match request.body:
            case b"SIGKILL":
                os.kill(os.getpid(), signal.SIGKILL)
            case b"SIGSEGV":
                ctypes.string_at(0)
            case b"sys.exit":
                sys.exit(3)
            case b"exit":
                os._exit(3)
            case b"memory":
                _hoard()
            case b"lock":
                sum(range(10**15))  # never gives Python's lock back
            case b"stream":
                return Response(self._pieces(), TEXT)
        return super().handle(request)

    def _pieces(self) -> Iterator[bytes]:
        yield b"first piece\n"
        os._exit(3)


def _hoard() -> None:
    """Take memory until the system puts an end to it."""
    hoard = []
    while True:
        hoard.append(b"\1" * (16 * 1024 * 1024))


class DeadlyHolding(Deadly):
    """The same, but holds the request "hold" until the file `go` exists."""

    def __init__(self, folder: Path) -> None:
        self._holding = Holding(folder)

    def handle(self, request: Request) -> Response:
        if request.body == b"hold":
            return self._holding.handle(request)
        return super().handle(request)


class Streaming(Echo):
    """Answers in pieces."""

    def handle(self, request: Request) -> Response:
        return Response((f"piece {n}\n".encode() for n in range(3)), TEXT)


class Stepwise(Algorithm[Path, bytes, bytes]):
    """An algorithm that streams: its second piece comes when the file `go` is there."""

    offers = ("text/plain",)

    def load(self, model_dir: Path) -> Path:
        return model_dir

    def decode(self, model: Path, request: Request) -> bytes:
        return request.body

    def predict(self, model: Path, data: bytes) -> bytes:
        self._model_dir = model
        return data

    def encode(self, predictions: bytes, answer: MediaType) -> Iterator[bytes]:
        try:
            yield b"first "
            while not (self._model_dir / "go").exists():
                yield b"." if predictions == b"dots" else b""
                time.sleep(0.01)
            yield b"second"
        finally:
            (self._model_dir / "closed").touch()


class BreakingOff(Echo):
    """Fails in the middle of a streamed answer when told to."""

    def handle(self, request: Request) -> Response:
        return Response(self._pieces(request.body), TEXT)

    def _pieces(self, body: bytes) -> Iterator[bytes]:
        yield b"first piece\n"
        if body == b"fail":
            raise ValueError("no second piece")


class Sum(Algorithm[float, list[float], float]):
    """An algorithm without numpy: the sum of the numbers plus what its model says."""

    def load(self, model_dir: Path) -> float:
        return 0.5

    def decode(self, model: float, request: Request) -> list[float]:
        return [float(cell) for cell in request.body.split(b",")]

    def predict(self, model: float, data: list[float]) -> float:
        return model + sum(data)

    def encode(self, predictions: float, answer: MediaType) -> bytes:
        return str(predictions).encode()

    def execution_parameters(self) -> ExecutionParameters:
        return ExecutionParameters(8, "SINGLE_RECORD", 25)


def echo() -> Handler:
    return Echo()


def count() -> Handler:
    return Count()


def slow_to_load() -> Handler:
    return SlowToLoad()


def slow_to_load_in_workers() -> Handler:
    return SlowToLoadInWorkers()


def slow_to_load_but_in_one() -> Handler:
    return SlowToLoadButInOne()


def slow_to_prepare() -> Handler:
    return SlowToPrepare()


def broken() -> Handler:
    return Broken()


def broken_in_workers() -> Handler:
    return BrokenInWorkers()


def holding(settings: Settings) -> Handler:
    return Holding(settings.model_dir)


def counting() -> Handler:
    return Counting()


def deadly() -> Handler:
    return Deadly()


def deadly_holding(settings: Settings) -> Handler:
    return DeadlyHolding(settings.model_dir)


def streaming() -> Handler:
    return Streaming()


def stepwise() -> Handler:
    return AlgorithmHandler(Stepwise())


def breaking_off() -> Handler:
    return BreakingOff()


def summing() -> Handler:
    return AlgorithmHandler(Sum())


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """A WSGI application of the user's own."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}".encode()]


def wsgi_factory() -> Callable[..., Iterable[bytes]]:
    return wsgi


flask_application = flask.Flask(__name__)


@flask_application.post("/invocations")
def flask_invocations() -> flask.Response:
    """What a container brings that was written for the sample's Flask file."""
    body = flask.request.get_data()
    return flask.Response(b"flask got " + body, mimetype="text/plain")


def pieces() -> Iterator[bytes]:
    yield b"no application"


def nothing_servable() -> str:
    return "a string"


echo_instance = Echo()

"""The frameworks' images: what each adds to a script's training, and to its model's own call.

Each is measured in turns with the bare thing, by the same Python, packages and variables. Both are
there all the time, and a turn takes less than a second: what else the machine has to do is on both
sides.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import bare
from tests.bench.figures import Figure, own_seconds, report, tree_seconds, wait_until
from tests.bench.framework_scripts import FRAMEWORKS, Framework
from tests.bench.plane import free_port

TRAINING_TURNS, STARTED_SECONDS = 80, 300.0
REQUEST_TURNS, REQUESTS_A_TURN = 20, 200
TRAINING_BAR = 1.02
REQUEST_BAR_MILLISECONDS = 0.3

TRAINING = """
import json, os, socket, time
def turns():
    with socket.create_connection(("127.0.0.1", int(os.environ["BENCH_PORT"]))) as told:
        told.send(b"0")
        while told.recv(1):
            began = time.perf_counter(), time.process_time()
            yield
            spent = time.perf_counter() - began[0], time.process_time() - began[1]
            told.send(json.dumps(spent).encode())
"""
# So many calls for each number that it is told, and what each took.
CALLS = """
import json, sys, time
folder = sys.argv[1]
{call}
call()
for line in sys.stdin:
    spent, busy = [], time.process_time()
    for _ in range(int(line)):
        began = time.perf_counter()
        call()
        spent.append(time.perf_counter() - began)
    print(json.dumps([spent, time.process_time() - busy]), flush=True)
"""


def measure(folder: Path, names: Sequence[str] = ()) -> None:
    """Print both costs of each, or of those named."""
    for framework in FRAMEWORKS:
        if not names or framework.family in names:
            own = folder / framework.family
            own.mkdir()
            _measure_training(framework, own / "training")
            _measure_requests(framework, own / "serving")
            shutil.rmtree(own)


def _variables(
    framework: Framework, base: Path, threads: int | None
) -> tuple[Path, dict[str, str]]:
    """The image's scripts and variables; libraries are told how many threads to take."""
    variables = bare.environment(base, framework.family, OMP_NUM_THREADS=str(threads))
    return Path(variables["PATH"].split(os.pathsep)[0]), variables


def _measure_training(framework: Framework, base: Path) -> None:
    config = base / "input" / "config"
    for each in (config, base / "code", base / "model", base / "output"):
        each.mkdir(parents=True)
    script = base / "code" / "train.py"
    script.write_text(TRAINING + framework.training)
    (config / "hyperparameters.json").write_text("{}")
    scripts, variables = _variables(framework, base, os.cpu_count())
    variables |= {"SAGEMAKER_PROGRAM": "train.py", "SM_MODEL_DIR": str(base / "model")}
    commands = {"bare": [scripts / "python", script], "image": [scripts / "train"]}
    clock: dict[str, list[float]] = {name: [] for name in commands}
    busy: dict[str, list[float]] = {name: [] for name in commands}
    with ExitStack() as stack:
        sides = {
            name: stack.enter_context(_training(command, variables))
            for name, command in commands.items()
        }
        for turn in range(TRAINING_TURNS):
            # Who begins changes, so that what follows from the order is on both sides.
            for name in sorted(commands, reverse=bool(turn % 2)):
                spent = sides[name].turn()
                if turn:  # the first is the slowest
                    clock[name].append(spent[0])
                    busy[name].append(spent[1])
                else:
                    before = own_seconds(sides["image"].process.pid)
        beside = own_seconds(sides["image"].process.pid) - before
    report(
        f"A script's training: the bare interpreter, and the {framework.title} image",
        [
            Figure("a turn of the training loop under the bare interpreter", clock["bare"], "s"),
            Figure("the same in the image", clock["image"], "s"),
            Figure("ratio by the clock, of the fastest quarter", [_ratio(clock)], "", TRAINING_BAR),
            Figure("the same of processor time", [_ratio(busy)], "", TRAINING_BAR),
            Figure("what `train` itself took of the processors", [1000 * beside], "ms"),
        ],
    )


def _ratio(times: Mapping[str, Sequence[float]]) -> float:
    """Of the mean of the fastest quarter of turns: what disturbs a turn makes it slower only."""
    return _undisturbed(times["image"]) / _undisturbed(times["bare"])


def _undisturbed(times: Sequence[float]) -> float:
    return statistics.mean(sorted(times)[: len(times) // 4])


@dataclass(frozen=True, slots=True)
class _Script:
    process: subprocess.Popen[bytes]
    connection: socket.socket

    def turn(self) -> tuple[float, float]:
        """Seconds by the clock, and of processors, of one pass of its loop."""
        self.connection.send(b"1")
        clock, busy = json.loads(self.connection.recv(1024))
        return clock, busy


@contextmanager
def _training(command: Sequence[str | Path], variables: dict[str, str]) -> Iterator[_Script]:
    """The script when it has come to its loop."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.settimeout(STARTED_SECONDS)
        port = {"BENCH_PORT": str(listener.getsockname()[1])}
        null = subprocess.DEVNULL
        process = stack.enter_context(
            subprocess.Popen(command, env=variables | port, stdout=null, stderr=null)
        )
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(STARTED_SECONDS)
            assert connection.recv(1) == b"0"
            yield _Script(process, connection)
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")


def _run(command: list[str], variables: dict[str, str]) -> None:
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stdout[-1000:]}{done.stderr[-2000:]}")


def _measure_requests(framework: Framework, base: Path) -> None:
    folder = base / "model"
    folder.mkdir(parents=True)
    # A row is not worth two threads, which wait for one another where the machine has other work.
    scripts, variables = _variables(framework, base, 1)
    python = str(scripts / "python")
    _run([python, "-c", f"folder = {str(folder)!r}\n{framework.model}"], variables)
    alone = [python, "-c", CALLS.format(call=framework.call), str(folder)]
    calls, requests, added, busy = [], [], [], []
    with _calling(alone, variables) as caller, _serving(scripts, variables) as server:
        server.ask(framework)
        for _ in range(REQUEST_TURNS):
            spent, called = caller.turn(REQUESTS_A_TURN)
            taken, served = server.turn(framework, REQUESTS_A_TURN)
            calls.append(1000 * statistics.median(spent))
            requests.append(1000 * statistics.median(taken))
            added.append(requests[-1] - calls[-1])
            busy.append(1000 * (served - called) / REQUESTS_A_TURN)
    bar = REQUEST_BAR_MILLISECONDS
    report(
        f"One row for a small {framework.title} model ({REQUEST_TURNS} turns, one connection)",
        [
            Figure("the model's own call", calls, "ms"),
            Figure("the same by POST /invocations", requests, "ms"),
            Figure("added by the clock", added, "ms", bar),
            Figure("added processor time, the server's and the kernel's", busy, "ms", bar),
        ],
    )


@dataclass(frozen=True, slots=True)
class _Caller:
    process: subprocess.Popen[str]

    def turn(self, count: int) -> tuple[list[float], float]:
        """Seconds of each call, and those of processors of all together."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        spent, busy = json.loads(self.process.stdout.readline())
        return spent, busy


@contextmanager
def _calling(command: list[str], variables: dict[str, str]) -> Iterator[_Caller]:
    """A process with the model, which calls it as often as it is told."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=variables, stdin=pipe, stdout=pipe, text=True) as process:
        yield _Caller(process)
        assert process.stdin is not None
        process.stdin.close()


@dataclass(frozen=True, slots=True)
class _Server:
    process: subprocess.Popen[bytes]
    channel: socket.socket

    def turn(self, framework: Framework, count: int) -> tuple[list[float], float]:
        """Seconds of each request, and those of processors that the server took for all."""
        busy, taken = tree_seconds(self.process.pid), []
        for _ in range(count):
            began = time.perf_counter()
            self.ask(framework)
            taken.append(time.perf_counter() - began)
        return taken, tree_seconds(self.process.pid) - busy

    def ask(self, framework: Framework) -> None:
        """One request by hand: Python's HTTP client takes longer than the server."""
        self.channel.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n"
            b"Content-Length: %d\r\n\r\n%s"
            % (framework.content_type.encode(), len(framework.row), framework.row)
        )
        answer, whole = b"", 1 << 30
        while len(answer) < whole:
            piece = self.channel.recv(65536)
            answer += piece
            if not piece or not b"HTTP/1.1 200".startswith(answer[:12]):
                raise RuntimeError(repr(answer))
            head, end, _ = answer.partition(b"\r\n\r\n")
            if end:
                length = head.lower().partition(b"content-length:")[2].split()[0]
                whole = len(head) + len(end) + int(length)


@contextmanager
def _serving(scripts: Path, variables: dict[str, str]) -> Iterator[_Server]:
    """A connection to one worker with the model."""
    port = free_port()
    more = {"SAGEMAKER_BIND_TO_PORT": str(port), "SAGEMAKER_MODEL_SERVER_WORKERS": "1"}
    process = subprocess.Popen(
        [scripts / "serve"],
        env=variables | more,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: bare.ping(port), 180)
        with socket.create_connection(("127.0.0.1", port), 60) as channel:
            channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield _Server(process, channel)
    finally:
        process.terminate()
        process.wait()

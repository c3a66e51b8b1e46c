"""Every built-in algorithm, a job of about a minute and requests, against a bare library, in turns.

The job is the image's `train` in the image's environment; the library is a script with the same
processors and the same data (`contests.py`), and where the image is made of that library, in the
image's environment. Both begin with a process and end with a model on disk.

A request goes over HTTP, as CSV, JSON or an image. The library is called on an array that is there
already, and also as whoever serves it has to: it reads the body, predicts, and writes JSON. The
processor time of an answer is that of all the server's processes.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.bench import bare
from tests.bench.contests import CONTESTS, Contest, Data
from tests.bench.figures import Figure, Times, report, seconds, tree_seconds, wait_until
from tests.bench.plane import free_port

RIVALS = Path(__file__).with_name("rivals")
TURNS = 2
REQUEST_TURNS = 5
# Of requests of one size in a turn.
LEAST_REQUESTS, REQUEST_SECONDS = 10, 0.5
BAR = 1.05


def measure(
    folder: Path, share: float = 1.0, names: Sequence[str] = (), turns: int = TURNS
) -> None:
    """Print training and scoring of each, or of those named; each side trains `turns` times."""
    for contest in CONTESTS:
        if not names or contest.family in names:
            own = folder / contest.rival
            own.mkdir()
            _measure(contest, Data(own, np.random.default_rng(0), share), turns)
            shutil.rmtree(own)


@dataclass(frozen=True, slots=True)
class _Rival:
    """The library's script."""

    script: Sequence[str]
    variables: Mapping[str, str]

    @staticmethod
    def of(contest: Contest, base: Path) -> _Rival:
        """In the image's environment, or in that of all rivals."""
        path = str(RIVALS / f"{contest.rival}.py")
        if contest.own_environment:
            variables = bare.environment(base, contest.family)
            scripts = Path(variables["PATH"].split(os.pathsep)[0])
            return _Rival((str(scripts / "python"), path), variables)
        python = os.environ.get("SAGELOCAL_BENCH_RIVALS", ".cache/rivals/bin/python")
        return _Rival((python, path), os.environ)

    def run(self, *arguments: str) -> str:
        """What it prints."""
        done = subprocess.run(
            [*self.script, *arguments],
            env=self.variables,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{self.script[1]} {arguments[0]}: {done.stderr[-2000:]}")
        return done.stdout


def _measure(contest: Contest, data: Data, turns: int) -> None:
    hyperparameters = {name: str(value) for name, value in contest.prepare(data).items()}
    base = _base(data, hyperparameters)
    rival = _Rival.of(contest, base)
    bare.environment(base, contest.family)  # Builds it where it is not there yet.
    where = (str(data.folder), str(data.folder / "model"))
    theirs, ours = Times(), Times()
    for _ in range(turns):
        theirs.take(lambda: rival.run("train", *where, json.dumps(hyperparameters)))
        ours.take(lambda: bare.train(base, contest.family))
    title = contest.title + ("" if data.share == 1 else f" (times {data.share:g})")
    report(
        f"{title}: training",
        [
            Figure(contest.library, theirs.clock, "s"),
            Figure("the image", ours.clock, "s"),
            Figure("ratio by the clock", ours.clock_ratios(theirs), ""),
            Figure("ratio of processor time", ours.busy_ratios(theirs), "", BAR),
        ],
    )
    _measure_requests(contest, title, data, base, rival)


@dataclass(slots=True)
class _Answers:
    """Milliseconds of requests of one size, a figure for each turn."""

    calls: list[float] = field(default_factory=list)
    """The library's call, by the clock."""
    whole: list[float] = field(default_factory=list)
    """The library with the body read and the answer written, by processor time."""
    clock: list[float] = field(default_factory=list)
    """The image, over HTTP, by the clock."""
    busy: list[float] = field(default_factory=list)
    """The image's processor time."""

    @property
    def figures(self) -> dict[str, list[float]]:
        return {
            "the image, by the clock": self.clock,
            "the image, processor time": self.busy,
        }


def _measure_requests(contest: Contest, title: str, data: Data, base: Path, rival: _Rival) -> None:
    asked = json.loads((data.folder / "requests.json").read_text())
    bodies = {rows: (data.folder / f"request-{rows}").read_bytes() for rows in asked["rows"]}
    found = {rows: _Answers() for rows in bodies}
    with _serving(base, contest.family) as server:
        answers = server.ask(bodies[max(bodies)], asked["type"])
        for _ in range(2 if data.share < 1 else REQUEST_TURNS):
            said = json.loads(
                rival.run("score", str(data.folder), str(data.folder / "model")).splitlines()[-1]
            )
            for rows, body in bodies.items():
                theirs, each = said["rows"][str(rows)], found[rows]
                each.calls.append(1000 * theirs["call"])
                each.whole.append(1000 * theirs["whole"])
                clock, busy = server.times(body, asked["type"])
                each.clock.append(1000 * clock)
                each.busy.append(1000 * busy)
    for rows, each in found.items():
        ratios = [a / b for a, b in zip(each.busy, each.whole, strict=True)]
        report(
            f"{title}: a request of {rows:,} row{'s' * (rows > 1)}",
            [
                Figure(f"{contest.library}: the call", each.calls, "ms"),
                Figure("with reading and writing, processor time", each.whole, "ms"),
                *(Figure(name, values, "ms") for name, values in each.figures.items()),
                Figure("ratio of processor time", ratios, ""),
            ],
        )
    if contest.judge is not None:
        labels = np.load(data.folder / "request_labels.npy")
        judged = (said["answers"], _values(answers, contest.field))
        values = [contest.judge(np.array(each), labels) for each in judged]
        names = (f"{contest.judged}, {contest.library}", f"{contest.judged}, the image")
        figures = [Figure(n, [v], "") for n, v in zip(names, values, strict=True)]
        report(f"{title}: what the models are worth", figures)


def _values(answer: bytes, field: str) -> list[float]:
    """A field of all records of a JSON answer; of a list its first member."""
    said = json.loads(answer)
    records = next(iter(said.values())) if isinstance(said, dict) else said
    values = [record[field] if isinstance(record, dict) else record for record in records]
    return [float(value[0] if isinstance(value, list) else value) for value in values]


def _base(data: Data, hyperparameters: Mapping[str, str]) -> Path:
    """An /opt/ml whose channels are the data's."""
    base = data.folder / "ml"
    config = base / "input" / "config"
    for each in (config, base / "model", base / "output"):
        each.mkdir(parents=True)
    (base / "input" / "data").symlink_to(data.folder / "data")
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    channels = {
        name: {"ContentType": content_type, "TrainingInputMode": "File"}
        for name, content_type in data.types().items()
    }
    (config / "inputdataconfig.json").write_text(json.dumps(channels))
    return base


@dataclass(frozen=True, slots=True)
class _Server:
    """A connection to one worker that has the model of a job."""

    process: subprocess.Popen[bytes]
    connection: http.client.HTTPConnection

    def ask(self, body: bytes, content_type: str) -> bytes:
        """The answer; raises RuntimeError if it is none."""
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        self.connection.request("POST", "/invocations", body, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {content[:300]!r}")
        return content

    def times(self, body: bytes, content_type: str) -> tuple[float, float]:
        """The median seconds of a request, and the server's seconds of processors for each."""
        taken: list[float] = []
        busy, began = tree_seconds(self.process.pid), time.perf_counter()
        while len(taken) < LEAST_REQUESTS or time.perf_counter() - began < REQUEST_SECONDS:
            taken.append(seconds(lambda: self.ask(body, content_type)))
        busy = tree_seconds(self.process.pid) - busy
        return statistics.median(taken), busy / len(taken)


@contextmanager
def _serving(base: Path, family: str) -> Iterator[_Server]:
    port = free_port()
    variables = bare.environment(
        base, family, SAGEMAKER_BIND_TO_PORT=str(port), SAGEMAKER_MODEL_SERVER_WORKERS="1"
    )
    command = Path(variables["PATH"].split(os.pathsep)[0]) / "serve"
    with (base / "serve.log").open("wb") as log:
        process = subprocess.Popen([command], env=variables, stdout=log, stderr=log)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        try:
            wait_until(lambda: bare.ping(port), 120)
            connection.connect()
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield _Server(process, connection)
        finally:
            connection.close()
            process.terminate()
            process.wait()

"""The servers under measurement: how each is started, called, and stopped."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from sagelocal.runtime.environments import Environments, default_folder
from sagelocal.runtime.images import ImageCatalog

from tests.bench.figures import wait_until
from tests.bench.load import Shot
from tests.bench.plane import free_port

PEERS = Path(__file__).parent / "serving_peers"
ENVIRONMENTS = Path(__file__).parents[2] / ".cache"
WORKERS = 2
READY_SECONDS = 120.0

Rows = list[list[float]]


@dataclass(frozen=True)
class Host:
    """One server: `command` gets the interpreter's folder, a scratch folder and a port."""

    name: str
    environment: str
    command: Callable[[Path, Path, int], list[str]]
    imports: str
    path: str = "/invocations"
    ping: str = "/ping"
    content_type: str = "text/csv"
    encode: Callable[[Rows], bytes] = field(default=lambda rows: _csv(rows))
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def scripts(self) -> Path:
        """The folder of this server's interpreter."""
        if self.environment == "xgboost":
            return _family_scripts()
        return ENVIRONMENTS / f"serving_{self.environment}" / "bin"

    @contextmanager
    def running(self, model: Path, folder: Path) -> Iterator[Running]:
        """The server with a model (a file), from its first healthy answer on."""
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        with (folder / "log").open("wb") as log:
            command = self.command(self.scripts, folder, port)
            begin = time.perf_counter()
            process = subprocess.Popen(
                command,
                cwd=PEERS,
                env=self._variables(model, folder, port),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                wait_until(lambda: self._is_ready(port), READY_SECONDS)
                yield Running(self, port, process.pid, time.perf_counter() - begin)
            finally:
                _end(process)

    def seconds_of_imports(self, model: Path, folder: Path) -> float:
        """How long a bare interpreter takes to import what this server serves with."""
        folder.mkdir(parents=True, exist_ok=True)
        begin = time.perf_counter()
        subprocess.run(
            [self.scripts / "python", "-c", self.imports],
            cwd=PEERS,
            env=self._variables(model, folder, 0),
            check=True,
        )
        return time.perf_counter() - begin

    def _variables(self, model: Path, folder: Path, port: int) -> dict[str, str]:
        return {
            "PATH": f"{self.scripts}{os.pathsep}/usr/local/bin:/usr/bin:/bin",
            "HOME": str(folder),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(PEERS),
            "PYTHONWARNINGS": "ignore",
            "BENCH_MODEL": str(model),
            "BENCH_PORT": str(port),
            "BENCH_WORKERS": str(WORKERS),
            "SAGEMAKER_BASE_DIR": str(model.parents[1]),
            "SAGEMAKER_BIND_TO_PORT": str(port),
            "MODEL_SERVER_HOST": "127.0.0.1",
            "MODEL_SERVER_WORKERS": str(WORKERS),
            **self.variables,
        }

    def _is_ready(self, port: int) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", self.ping)
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    host: Host
    port: int
    pid: int
    ready_seconds: float

    def shot(self, rows: Rows) -> Shot:
        """The request for some rows."""
        url = f"http://127.0.0.1:{self.port}{self.host.path}"
        return Shot(url, self.host.encode(rows), self.host.content_type)

    def answer(self, rows: Rows) -> bytes:
        """One answer. Raises RuntimeError unless it is a 200."""
        shot = self.shot(rows)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", self.host.path, shot.body, {"Content-Type": shot.content_type})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        if response.status != 200:
            raise RuntimeError(f"{self.host.name}: {response.status} {body[:500]!r}")
        return body

    def processor_seconds(self) -> float:
        """What all its processes have taken of the processors so far."""
        return sum(_ticks(pid) for pid in _family(self.pid)) / os.sysconf("SC_CLK_TCK")

    def memory_megabytes(self) -> float:
        """What all its processes hold, shared pages counted in parts (PSS)."""
        return sum(_pss(pid) for pid in _family(self.pid)) / 1024


def _csv(rows: Rows) -> bytes:
    return "".join(",".join(map(str, row)) + "\n" for row in rows).encode()


def _csv_with_header(rows: Rows) -> bytes:
    """MLflow takes the first line for names whatever it says."""
    return ",".join(f"f{number}" for number in range(len(rows[0]))).encode() + b"\n" + _csv(rows)


def _json(rows: Rows) -> bytes:
    return json.dumps({"instances": rows}).encode()


def _open_inference(rows: Rows) -> bytes:
    data = [value for row in rows for value in row]
    shape = [len(rows), len(rows[0])]
    tensor = {"name": "rows", "datatype": "FP32", "shape": shape, "data": data}
    return json.dumps({"inputs": [tensor]}).encode()


def _gunicorn(module: str) -> Callable[[Path, Path, int], list[str]]:
    def command(scripts: Path, folder: Path, port: int) -> list[str]:
        return [
            *(str(scripts / "gunicorn"), "-b", f"127.0.0.1:{port}", "-w", str(WORKERS)),
            *("-k", "gthread", "--threads", "4", "--log-level", "warning", module),
        ]

    return command


def _mlserver(scripts: Path, folder: Path, port: int) -> list[str]:
    settings = {
        "host": "127.0.0.1",
        **{"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()},
        # One process: with workers of its own it answers two thirds as many requests.
        **{"parallel_workers": 0, "debug": False, "metrics_endpoint": None},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    model = {"name": "iris", "implementation": "ml.Iris"}
    (folder / "model-settings.json").write_text(json.dumps(model))
    return [str(scripts / "mlserver"), "start", str(folder)]


def _mlflow(scripts: Path, folder: Path, port: int) -> list[str]:
    saved = folder / "model"
    if not saved.exists():
        environment = {**os.environ, "PYTHONPATH": str(PEERS), "HOME": str(folder)}
        subprocess.run(
            [scripts / "python", "-W", "ignore", "flow.py", saved],
            cwd=PEERS,
            env=environment,
            check=True,
            capture_output=True,
        )
    return [
        *(str(scripts / "mlflow"), "models", "serve", "-m", str(saved), "-h", "127.0.0.1"),
        *("-p", str(port), "-w", str(WORKERS), "--env-manager", "local"),
    ]


def _bentoml(scripts: Path, folder: Path, port: int) -> list[str]:
    return [
        *(str(scripts / "bentoml"), "serve", "bento:Iris"),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]


OURS = Host(
    "sagelocal/xgboost",
    "xgboost",
    lambda scripts, folder, port: [str(scripts / "serve")],
    "import sagelocal_serve.cli, sagelocal_xgboost.serving",
    variables={"SAGEMAKER_SERVING_MODULE": "sagelocal_xgboost.serving:app"},
)
UNDER_GUNICORN = replace(
    OURS,
    name="the same under gunicorn",
    variables={**OURS.variables, "MODEL_SERVER_ENGINE": "gunicorn"},
)
OTHERS = (
    Host(
        "Flask + gunicorn", "flask", _gunicorn("flask_app:app"), "import flask, gunicorn, booster"
    ),
    Host(
        "inference-server + gunicorn",
        "flask",
        _gunicorn("plugged:app"),
        "import inference_server, gunicorn, booster",
    ),
    Host(
        "MLServer",
        "mlserver",
        _mlserver,
        "import ml",
        path="/v2/models/iris/infer",
        ping="/v2/models/iris/ready",
        content_type="application/json",
        encode=_open_inference,
    ),
    Host(
        "LitServe",
        "litserve",
        lambda scripts, folder, port: [str(scripts / "python"), "lit.py"],
        "import lit",
        path="/predict",
        content_type="application/json",
        encode=_json,
    ),
    Host(
        "BentoML",
        "bentoml",
        _bentoml,
        "import bento",
        ping="/readyz",
        content_type="application/json",
        encode=_json,
        variables={"BENTOML_DO_NOT_TRACK": "true"},
    ),
    Host(
        "MLflow",
        "mlflow",
        _mlflow,
        "import flow, mlflow.pyfunc",
        encode=_csv_with_header,
    ),
)


def _family_scripts() -> Path:
    catalog = ImageCatalog.load(None)
    family = catalog.resolve("xgboost")
    assert family is not None
    return Environments(default_folder(), catalog).ready(family).scripts


def _family(leader: int) -> list[int]:
    """The processes that a process has started, directly or not, itself included."""
    parents: dict[int, tuple[int, int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(folder.name)] = int(fields[1]), int(fields[3])
    found = {pid for pid, (_, session) in parents.items() if pid == leader or session == leader}
    while more := {pid for pid, (parent, _) in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop the server and whatever it has started."""
    family = _family(process.pid)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in set(family) & set(_family(process.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

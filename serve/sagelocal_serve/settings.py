"""Every environment variable that means something here, read once into a frozen object.

The names are those that SageMaker itself, its toolkits and the well-known sample containers
use; `MODEL_SERVER_...` is the samples' prefix, also for what has no older name. `VARIABLES` is
the table behind the reading, the error texts and the documentation.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

from sagelocal_serve.cpus import usable_cpus
from sagelocal_serve.media_type import Accept, MediaTypeError

DEFAULT_MAX_REQUEST_BYTES = 100 * 1024 * 1024
SCRIPT_MODE = "sagelocal_serve.script:app"

Engine = Literal["prefork", "gunicorn"]


class SettingsError(ValueError):
    """The environment holds values that cannot be used; the message lists every one of them."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One setting: the field it fills, the variables that may set it, and how they are read."""

    field: str
    names: tuple[str, ...]
    parse: Callable[[str], Any]
    expects: str
    default: str
    help: str


@dataclass(frozen=True, slots=True)
class Settings:
    """How one container serves; see `VARIABLES` for the meaning of each field."""

    port: int = 8080
    host: str = "0.0.0.0"
    safe_port_range: tuple[int, int] | None = None
    serving_module: str = SCRIPT_MODE
    engine: Engine = "prefork"
    workers: int | None = None
    threads: int = 1
    queue_size: int = 100
    timeout_seconds: int = 60
    graceful_timeout_seconds: int = 25
    share_model: bool | None = None
    omp_threads: int | None = None
    default_accept: Accept = field(default_factory=Accept)
    max_request_bytes: int | None = DEFAULT_MAX_REQUEST_BYTES
    max_payload_in_mb: int | None = None
    base_dir: Path = Path("/opt/ml")
    program: str = "inference.py"
    submit_directory: str | None = None
    batch: bool = False
    batch_strategy: str | None = None
    max_concurrent_transforms: int | None = None
    log_level: int = logging.INFO
    request_log: bool = False
    multi_model: bool = False
    model_workers: int = 1
    models_memory_mb: int | None = None
    evict_models: bool = False
    # Of one model among many; no variable sets these two.
    model_folder: Path | None = None
    packages_folder: Path | None = None
    metrics: bool = False
    max_batch_size: int | None = None
    max_delay_milliseconds: float | None = None

    @property
    def model_dir(self) -> Path:
        """Where the platform has unpacked model.tar.gz."""
        return self.model_folder or self.base_dir / "model"

    @property
    def worker_count(self) -> int:
        """Worker processes to run: as set, else one for every CPU this container may use."""
        return self.workers or usable_cpus()

    @property
    def body_limit(self) -> int | None:
        """Bytes that a request body may have; None for no limit."""
        return self.max_request_bytes or None

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """The settings of an environment; raises SettingsError naming all that is wrong."""
        values: dict[str, Any] = {}
        wrong: list[str] = []
        for variable in VARIABLES:
            name = next((n for n in variable.names if environ.get(n, "").strip()), None)
            if name is None:
                continue
            text = environ[name].strip()
            try:
                values[variable.field] = variable.parse(text)
            except ValueError:
                wrong.append(f"{name}={text!r}: expected {variable.expects}")
        if wrong:
            raise SettingsError("; ".join(wrong))
        return cls(**_with_payload_limit(values))


def _with_payload_limit(values: dict[str, Any]) -> dict[str, Any]:
    """Batch transform's payload size bounds requests unless a size in bytes is set."""
    megabytes = values.get("max_payload_in_mb")
    if megabytes is None:
        return values
    return {"max_request_bytes": megabytes * 1024 * 1024} | values


def _whole(minimum: int, maximum: int | None = None) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if value < minimum or (maximum is not None and value > maximum):
            raise ValueError(text)
        return value

    return parse


def _milliseconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 60000:
        raise ValueError(text)
    return value


def _flag(text: str) -> bool:
    match text.lower():
        case "true" | "1" | "yes" | "on":
            return True
        case "false" | "0" | "no" | "off":
            return False
    raise ValueError(text)


def _ports(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})\s*-\s*(\d{1,5})", text)
    if found is None or not 0 < int(found[1]) <= int(found[2]) < 65536:
        raise ValueError(text)
    return int(found[1]), int(found[2])


def _log_level(text: str) -> int:
    if text.isdigit():
        return int(text)
    return logging.getLevelNamesMapping()[text.upper()]


def _level(text: str) -> int:
    try:
        return _log_level(text)
    except KeyError as unknown:
        raise ValueError(text) from unknown


def _accept(text: str) -> Accept:
    try:
        return Accept.parse(text)
    except MediaTypeError as unreadable:
        raise ValueError(text) from unreadable


def _engine(text: str) -> Engine:
    for engine in get_args(Engine):
        if text.lower() == engine:
            return cast(Engine, engine)
    raise ValueError(text)


def _module(text: str) -> str:
    if not re.fullmatch(r"[\w.]+:[\w.]+", text):
        raise ValueError(text)
    return text


VARIABLES = (
    Variable(
        "port",
        ("SAGEMAKER_BIND_TO_PORT",),
        _whole(0, 65535),
        "a port number from 0 to 65535",
        "8080",
        "Port to listen on. 0 lets the system choose one, which is logged.",
    ),
    Variable(
        "host",
        ("MODEL_SERVER_HOST",),
        str,
        "an address such as 127.0.0.1",
        "0.0.0.0",
        "Address to listen on. A container listens on all of its own; a server that runs without "
        "a container around it should be given 127.0.0.1.",
    ),
    Variable(
        "safe_port_range",
        ("SAGEMAKER_SAFE_PORT_RANGE",),
        _ports,
        "two port numbers such as 5000-5999",
        "none",
        "Ports that servers inside the container may use. This server needs none of them; "
        "handlers find the range in their settings.",
    ),
    Variable(
        "serving_module",
        ("SAGEMAKER_SERVING_MODULE",),
        _module,
        "module:attribute",
        SCRIPT_MODE,
        "What to serve: a function of no parameters or of the settings that returns a Handler or "
        "a WSGI application, or one of those two themselves.",
    ),
    Variable(
        "engine",
        ("MODEL_SERVER_ENGINE",),
        _engine,
        "prefork or gunicorn",
        "prefork",
        "The HTTP server. prefork is ours; under gunicorn one row takes about twice as long, and a "
        "caller whose worker dies is cut off instead of told.",
    ),
    Variable(
        "workers",
        (
            "SAGEMAKER_MODEL_SERVER_WORKERS",
            "MODEL_SERVER_WORKERS",
            "SAGEMAKER_GUNICORN_WORKERS",
        ),
        _whole(1, 1024),
        "a number of processes from 1 to 1024",
        "one per CPU",
        "Worker processes. CPUs are counted as this container may use them (affinity, cgroup).",
    ),
    Variable(
        "threads",
        ("MODEL_SERVER_THREADS", "SAGEMAKER_GUNICORN_THREADS"),
        _whole(1, 1024),
        "a number of threads from 1 to 1024",
        "1",
        "Requests that one worker lets into the model at a time. Scripts written for SageMaker "
        "were never called by two threads at once, so more than 1 is for those who know.",
    ),
    Variable(
        "queue_size",
        ("SAGEMAKER_MODEL_JOB_QUEUE_SIZE",),
        _whole(0, 10000),
        "a number of requests from 0 to 10000",
        "100",
        "Requests that may wait in one worker for their turn; the next one gets a 503 at once.",
    ),
    Variable(
        "timeout_seconds",
        (
            "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS",
            "SAGEMAKER_MODEL_SERVER_TIMEOUT",
            "MODEL_SERVER_TIMEOUT",
            "SAGEMAKER_GUNICORN_TIMEOUT_SECONDS",
        ),
        _whole(1, 86400),
        "a number of seconds from 1 to 86400",
        "60",
        "Seconds without a sign of life after which a worker is killed and replaced. A long "
        "prediction is no silence, unless it holds Python's lock all the while.",
    ),
    Variable(
        "graceful_timeout_seconds",
        ("MODEL_SERVER_GRACEFUL_TIMEOUT",),
        _whole(1, 3600),
        "a number of seconds from 1 to 3600",
        "25",
        "Seconds that running requests get to finish after SIGTERM; the platform sends SIGKILL "
        "after 30.",
    ),
    Variable(
        "share_model",
        ("MODEL_SERVER_SHARE_MODEL",),
        _flag,
        "true or false",
        "the handler's choice",
        "Load the model once and let the workers inherit its memory (true), or load it in every "
        "worker (false). Built-in algorithms share. Scripts do not unless asked to, because a "
        "framework with threads or a GPU does not survive the fork.",
    ),
    Variable(
        "omp_threads",
        ("OMP_NUM_THREADS",),
        _whole(1, 1024),
        "a number of threads from 1 to 1024",
        "CPUs / workers",
        "Threads that numeric libraries use within one worker.",
    ),
    Variable(
        "default_accept",
        ("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT",),
        _accept,
        "a media type such as text/csv",
        "the handler's first format",
        "Answer format when the caller asks for nothing in particular (no Accept, or */*).",
    ),
    Variable(
        "max_request_bytes",
        ("SAGEMAKER_MAX_REQUEST_SIZE", "MAX_CONTENT_LENGTH"),
        _whole(0),
        "a number of bytes; 0 for no limit",
        "104857600 (100 MiB)",
        "Largest request body in bytes; a larger one gets a 413.",
    ),
    Variable(
        "max_payload_in_mb",
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB",),
        _whole(0),
        "a number of MiB; 0 for no limit",
        "none",
        "The same limit in MiB, as batch transform sets it; a limit in bytes goes first.",
    ),
    Variable(
        "base_dir",
        ("SAGEMAKER_BASE_DIR",),
        Path,
        "a folder",
        "/opt/ml",
        "Stands for /opt/ml: the model lies in its folder model.",
    ),
    Variable(
        "program",
        ("SAGEMAKER_PROGRAM",),
        str,
        "a file name",
        "inference.py",
        "The user's script in script mode.",
    ),
    Variable(
        "submit_directory",
        ("SAGEMAKER_SUBMIT_DIRECTORY",),
        str,
        "a folder or a .tar.gz file",
        "none",
        "Where the script lies, if not in the model's folder code.",
    ),
    Variable(
        "batch",
        ("SAGEMAKER_BATCH",),
        _flag,
        "true or false",
        "false",
        "Set by batch transform; for handlers that answer differently there.",
    ),
    Variable(
        "batch_strategy",
        ("SAGEMAKER_BATCH_STRATEGY",),
        str,
        "SINGLE_RECORD or MULTI_RECORD",
        "none",
        "Set by batch transform when the job names a strategy; for handlers.",
    ),
    Variable(
        "max_concurrent_transforms",
        ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS",),
        _whole(0),
        "a number of requests",
        "none",
        "Set by batch transform when the job names a number; for handlers.",
    ),
    Variable(
        "log_level",
        ("SAGEMAKER_CONTAINER_LOG_LEVEL",),
        _level,
        "a level such as 20 or INFO",
        "20 (INFO)",
        "Least level of the lines that are logged.",
    ),
    Variable(
        "request_log",
        ("MODEL_SERVER_REQUEST_LOG",),
        _flag,
        "true or false",
        "false",
        "One JSON line for every request but health checks.",
    ),
    Variable(
        "multi_model",
        ("SAGEMAKER_MULTI_MODEL",),
        _flag,
        "true or false",
        "false",
        "Serve many models, which are loaded and unloaded below /models while the server runs, "
        "each in processes of its own.",
    ),
    Variable(
        "model_workers",
        ("SAGEMAKER_NUM_MODEL_WORKERS",),
        _whole(1, 1024),
        "a number of processes from 1 to 1024",
        "1",
        "Worker processes of each of many models; each has a copy of its model.",
    ),
    Variable(
        "models_memory_mb",
        ("MODEL_SERVER_MODELS_MEMORY_IN_MB",),
        _whole(1),
        "a number of MiB",
        "80 % of the container's",
        "Memory that many models may take together; loading one that goes beyond it is answered "
        "with 507.",
    ),
    Variable(
        "evict_models",
        ("MODEL_SERVER_EVICT_MODELS",),
        _flag,
        "true or false",
        "false",
        "Make room for a model by unloading those that were not used for the longest time, where "
        "no platform does that on a 507.",
    ),
    Variable(
        "metrics",
        ("MODEL_SERVER_METRICS",),
        _flag,
        "true or false",
        "false",
        "Tell Prometheus at /metrics what all workers have answered: counts, latencies, requests "
        "in flight.",
    ),
    Variable(
        "max_batch_size",
        ("MODEL_SERVER_MAX_BATCH_SIZE", "SAGEMAKER_TS_BATCH_SIZE"),
        _whole(1, 1024),
        "a number of requests from 1 to 1024",
        "the handler's choice, mostly 1",
        "Requests that one worker joins into one prediction, for models that gain by it and "
        "handlers that can join.",
    ),
    Variable(
        "max_delay_milliseconds",
        ("MODEL_SERVER_MAX_DELAY_MILLISECONDS", "SAGEMAKER_TS_MAX_BATCH_DELAY"),
        _milliseconds,
        "a number of milliseconds from 0 to 60000",
        "the handler's choice, mostly 0",
        "How long the first request of a batch waits for others. With 0 those are joined that "
        "come while the model is busy.",
    ),
)

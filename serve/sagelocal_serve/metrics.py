"""GET /metrics: what all workers have answered, in Prometheus' text format.

A WSGI middleware over memory that the workers share: each writes a block of its own, whichever is
asked adds them up. prometheus-client does the same with a file for each process that ever lived,
in a folder that must be writable, and takes some microseconds for each request; a worker's block
here is taken over by its successor, so that counters never go back.

    model_server_requests_total{path, code}                   counter
    model_server_request_duration_seconds{path}               histogram, to the end of the answer
    model_server_requests_in_flight                           gauge
"""

from __future__ import annotations

import mmap
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sagelocal_serve.entry import WsgiApp

PATH = "/metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS_SECONDS = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
# Paths are counted by these names: what callers make up must not become series without end.
PATHS = ("/invocations", "/ping", "/execution-parameters", "/models", "other")
CODES = range(100, 600)

_CODES_AT = 1  # after the gauge
_BUCKETS_AT = _CODES_AT + len(CODES)
_SUM_AT = _BUCKETS_AT + len(BOUNDS_SECONDS) + 1
_PATH_CELLS = _SUM_AT - _CODES_AT + 1
_BLOCK_CELLS = 1 + len(PATHS) * _PATH_CELLS


class Metrics:
    """Counts what an application answers and tells it at /metrics."""

    def __init__(self, application: WsgiApp, workers: int) -> None:
        self._application = application
        self._workers = workers
        self._cells = memoryview(mmap.mmap(-1, workers * _BLOCK_CELLS * 8)).cast("d")
        self._lock = threading.Lock()
        self._start = 0

    def attach(self, worker: int) -> None:
        """Let this process write the block of the worker of this number."""
        self._lock = threading.Lock()
        self._start = worker * _BLOCK_CELLS
        self._cells[self._start] = 0  # what its predecessor was on has ended with it

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if environ.get("PATH_INFO") == PATH and environ["REQUEST_METHOD"] == "GET":
            text = self.text().encode()
            headers = [("Content-Type", CONTENT_TYPE), ("Content-Length", str(len(text)))]
            start_response("200 OK", headers)
            return [text]
        return self._counted(environ, start_response)

    def text(self) -> str:
        """All series, each with its help and type."""
        return "\n".join([*self._requests(), *self._durations(), *self._in_flight(), ""])

    def _counted(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        begin = time.perf_counter()
        path = _path_index(environ.get("PATH_INFO", ""))
        code = 500

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            nonlocal code
            code = int(status[:3])
            return start_response(status, headers, *more)

        def end() -> None:
            self._note(path, code, time.perf_counter() - begin)

        with self._lock:
            self._cells[self._start] += 1
        try:
            body = self._application(environ, start)
        except BaseException:
            end()
            raise
        if isinstance(body, (list, tuple)):
            end()
            return body
        return _Watched(body, end)

    def _note(self, path: int, code: int, seconds: float) -> None:
        start = self._start
        at = start + path * _PATH_CELLS
        cells = self._cells
        with self._lock:
            cells[start] -= 1
            if code in CODES:
                cells[at + _CODES_AT + code - CODES.start] += 1
            cells[at + _BUCKETS_AT + bisect_left(BOUNDS_SECONDS, seconds)] += 1
            cells[at + _SUM_AT] += seconds

    def _total(self, cell: int) -> float:
        return sum(self._cells[w * _BLOCK_CELLS + cell] for w in range(self._workers))

    def _requests(self) -> Iterator[str]:
        name = "model_server_requests_total"
        yield f"# HELP {name} Requests answered."
        yield f"# TYPE {name} counter"
        for index, path in enumerate(PATHS):
            for code in CODES:
                cell = index * _PATH_CELLS + _CODES_AT + code - CODES.start
                if count := self._total(cell):
                    yield f'{name}{{path="{path}",code="{code}"}} {count:.0f}'

    def _durations(self) -> Iterator[str]:
        name = "model_server_request_duration_seconds"
        yield f"# HELP {name} Time from a request's last byte to its answer's."
        yield f"# TYPE {name} histogram"
        for index, path in enumerate(PATHS):
            at = index * _PATH_CELLS
            counts = [self._total(at + _BUCKETS_AT + n) for n in range(len(BOUNDS_SECONDS) + 1)]
            if not any(counts):
                continue
            bounds = [*(f"{bound:g}" for bound in BOUNDS_SECONDS), "+Inf"]
            for n, bound in enumerate(bounds):
                yield f'{name}_bucket{{path="{path}",le="{bound}"}} {sum(counts[: n + 1]):.0f}'
            yield f'{name}_sum{{path="{path}"}} {self._total(at + _SUM_AT):.9g}'
            yield f'{name}_count{{path="{path}"}} {sum(counts):.0f}'

    def _in_flight(self) -> Iterator[str]:
        name = "model_server_requests_in_flight"
        yield f"# HELP {name} Requests under way, those that wait for the model included."
        yield f"# TYPE {name} gauge"
        yield f"{name} {self._total(0):.0f}"


class _Watched:
    """A streamed body that says when it has ended."""

    def __init__(self, body: Iterable[bytes], end: Callable[[], None]) -> None:
        self._body = body
        self._end: Callable[[], None] | None = end

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        """Called by the server in any case (PEP 3333)."""
        end, self._end = self._end, None
        if end is not None:
            end()
        close = getattr(self._body, "close", None)
        if close is not None:
            close()


def _path_index(path: str) -> int:
    if path in PATHS:
        return PATHS.index(path)
    return PATHS.index("/models" if path.startswith("/models/") else "other")

"""What Prometheus is told, read by its own parser, over all workers and both servers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sagelocal_serve.metrics import Metrics
from werkzeug.test import Client

Start = Callable[..., Any]
Wait = Callable[[Callable[[], bool]], None]


def _samples(text: str) -> dict[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _answering(status: str) -> Metrics:
    def application(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        start(status, [("Content-Type", "text/plain")])
        return [b"answer"]

    return Metrics(application, 2)


def test_requests_are_counted_by_path_and_status() -> None:
    metrics = _answering("404 Not Found")
    client = Client(metrics)
    client.post("/invocations")
    client.post("/invocations")
    client.get("/models/m/invoke")
    client.get("/whatever")
    samples = _samples(client.get("/metrics").text)
    name = "model_server_requests_total"
    assert samples[name, "/invocations", "404"] == 2
    assert samples[name, "/models", "404"] == 1
    assert samples[name, "other", "404"] == 1
    assert samples["model_server_request_duration_seconds_count", "/invocations"] == 2
    assert samples["model_server_request_duration_seconds_bucket", "/invocations", "+Inf"] == 2
    assert samples["model_server_request_duration_seconds_sum", "/invocations"] > 0
    assert samples[("model_server_requests_in_flight",)] == 0


def test_buckets_never_fall() -> None:
    client = Client(_answering("200 OK"))
    for _ in range(20):
        client.get("/ping")
    name = "model_server_request_duration_seconds_bucket"
    counts = [v for key, v in _samples(client.get("/metrics").text).items() if key[0] == name]
    assert counts == sorted(counts)
    assert counts[-1] == 20


def test_stream_is_in_flight_until_it_is_closed() -> None:
    def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterator[bytes]:
        start("200 OK", [])
        yield b"a"
        yield b"b"

    metrics = Metrics(application, 1)
    answer = Client(metrics).get("/invocations", buffered=False)
    assert _samples(metrics.text())[("model_server_requests_in_flight",)] == 1
    answer.close()
    answer.close()
    assert _samples(metrics.text())[("model_server_requests_in_flight",)] == 0
    assert _samples(metrics.text())["model_server_requests_total", "/invocations", "200"] == 1


def test_failing_application_is_a_500_that_is_no_longer_in_flight() -> None:
    def application(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        raise ValueError("always")

    metrics = Metrics(application, 1)
    with pytest.raises(ValueError, match="always"):
        Client(metrics).get("/ping")
    samples = _samples(metrics.text())
    assert samples["model_server_requests_total", "/ping", "500"] == 1
    assert samples[("model_server_requests_in_flight",)] == 0


@pytest.fixture(params=["prefork", "gunicorn"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_all_workers_count_together_and_none_forgets_when_it_dies(
    start_server: Start, wait_until: Wait
) -> None:
    server = start_server("echo", MODEL_SERVER_WORKERS="2", MODEL_SERVER_METRICS="true")
    server.wait_until_ready()
    pids: set[int] = set()
    requests = 0

    def both_have_answered() -> bool:
        nonlocal requests
        requests += 1
        pids.add(int(server.invoke(b"pid").body))
        return len(pids) == 2

    def counted() -> float:
        text = server.request("GET", "/metrics").body.decode()
        return _samples(text)["model_server_requests_total", "/invocations", "200"]

    wait_until(both_have_answered)
    assert counted() == requests
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    server.wait_until_ready()
    server.invoke(b"1")
    assert counted() == requests + 1


def test_there_are_no_metrics_unless_asked_for(start_server: Start) -> None:
    server = start_server("echo").wait_until_ready()
    assert server.request("GET", "/metrics").status == 404

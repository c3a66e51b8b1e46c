"""Requests that are joined get the same answers as those that are not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagelocal_serve import Algorithm, AlgorithmHandler, MediaType, Request, Settings
from sagelocal_serve.batching import Batcher, Batching, batching_of
from sagelocal_serve.codecs.batches import join_rows, split_rows
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

Start = Callable[..., Any]
Wait = Callable[[Callable[[], bool]], None]


class Joining(Algorithm[int, Any, Any]):
    """An algorithm that asks for batching."""

    batching = Batching(max_batch_size=16)

    def load(self, model_dir: Path) -> int:
        return 2

    def decode(self, model: int, request: Request) -> Any:
        return np.array([request.body.split(b",")], float)

    def predict(self, model: int, data: Any) -> Any:
        return model * data

    def encode(self, predictions: Any, answer: MediaType) -> bytes:
        return str(predictions.tolist()).encode()

    def join(self, parts: list[Any]) -> Any:
        return join_rows(parts)

    def split(self, predictions: Any, parts: list[Any]) -> list[Any]:
        return split_rows(predictions, [len(part) for part in parts])


class Doubling:
    """A model that notes its batches, refuses negative numbers and waits until it is let go on."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, parts: list[int]) -> list[int]:
        self.entered.set()
        assert self.go_on.wait(30)
        self.batches.append(parts)
        if any(part < 0 for part in parts):
            raise ValueError(f"negative: {min(parts)}")
        return [2 * part for part in parts]


def test_requests_that_queue_while_the_model_is_busy_are_joined(wait_until: Wait) -> None:
    model = Doubling()
    model.go_on.clear()
    batcher = Batcher(model, Batching(max_batch_size=8))
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(batcher.predict, 0)
        assert model.entered.wait(30)
        others = [pool.submit(batcher.predict, n) for n in range(1, 6)]
        wait_until(lambda: len(batcher._waiting) == 5)
        model.go_on.set()
        assert [future.result(30) for future in [first, *others]] == [0, 2, 4, 6, 8, 10]
    assert [sorted(batch) for batch in model.batches] == [[0], [1, 2, 3, 4, 5]]


def test_full_batch_does_not_wait_for_its_delay() -> None:
    model = Doubling()
    batcher = Batcher(model, Batching(max_batch_size=4, max_delay_milliseconds=60_000))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(batcher.predict, range(4), timeout=30))
    assert answers == [0, 2, 4, 6]
    assert [len(batch) for batch in model.batches] == [4]


def test_lone_request_waits_no_longer_than_its_delay() -> None:
    batcher = Batcher(Doubling(), Batching(max_batch_size=4, max_delay_milliseconds=20))
    assert batcher.predict(21) == 42


def test_no_batch_is_larger_than_allowed() -> None:
    model = Doubling()
    batcher = Batcher(model, Batching(max_batch_size=3, max_delay_milliseconds=5))
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(batcher.predict, range(64))) == [2 * n for n in range(64)]
    assert max(len(batch) for batch in model.batches) <= 3
    assert sorted(n for batch in model.batches for n in batch) == list(range(64))


def test_error_stays_with_the_request_it_belongs_to() -> None:
    model = Doubling()
    batcher = Batcher(model, Batching(max_batch_size=3, max_delay_milliseconds=60_000))
    with ThreadPoolExecutor(3) as pool:
        good, bad, also_good = (pool.submit(batcher.predict, n) for n in (1, -7, 2))
        assert (good.result(30), also_good.result(30)) == (2, 4)
        with pytest.raises(ValueError, match="negative: -7"):
            bad.result(30)
        assert list(pool.map(batcher.predict, (5, 6, 7), timeout=30)) == [10, 12, 14]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_rows_that_were_joined_are_split_again(counts: list[int]) -> None:
    parts = [np.full((count, 2), index, np.float32) for index, count in enumerate(counts)]
    whole = join_rows(parts)
    for predictions in (whole, {"score": whole}, (whole, whole)):
        for part, found in zip(parts, split_rows(predictions, counts), strict=True):
            columns = found.values() if isinstance(found, dict) else found
            for column in [found] if isinstance(found, np.ndarray) else columns:
                np.testing.assert_array_equal(part, column)


def test_rows_of_different_width_are_not_joined() -> None:
    with pytest.raises(ValueError, match="different width"):
        join_rows([np.zeros((1, 2)), np.zeros((1, 3))])


def test_settings_go_before_the_algorithm() -> None:
    handler = AlgorithmHandler(Joining())
    assert batching_of(handler, Settings()) == Batching(16, 0)
    settings = Settings(max_batch_size=4, max_delay_milliseconds=2.5)
    assert batching_of(handler, settings) == Batching(4, 2.5)
    assert handler.batching == Batching(4, 2.5)


@pytest.mark.parametrize("engine", ["prefork", "gunicorn"])
def test_forest_behind_a_server_answers_every_caller_with_its_own_rows(
    start_server: Start, engine: str
) -> None:
    server = start_server(SAGEMAKER_SERVING_MODULE="forest_under_test:app").wait_until_ready()
    rows, labels = load_iris(return_X_y=True)
    forest = RandomForestClassifier(20, random_state=0).fit(rows, labels)
    bodies = [",".join(map(str, row)) for row in rows[::5]]
    expected = [forest.predict_proba([row])[0].tolist() for row in rows[::5]]
    with ThreadPoolExecutor(12) as pool:
        wrong = pool.submit(server.invoke, b"1,2,3", "text/csv")
        answers = list(pool.map(lambda b: server.invoke(b.encode(), "text/csv"), bodies))
        assert wrong.result().status == 500
    assert [200] * len(bodies) == [answer.status for answer in answers]
    found = [json.loads(answer.body) for answer in answers]
    np.testing.assert_allclose(found, expected)
    calls = json.loads(server.invoke(b"calls", "text/csv").body)
    assert calls < len(bodies)


def test_requests_may_not_be_joined_by_an_algorithm_that_cannot(start_server: Start) -> None:
    server = start_server("summing", MODEL_SERVER_MAX_BATCH_SIZE="8").wait_until_ready()
    assert server.invoke(b"1,2").body == b"3.5"
    assert "Sum does not join requests" in server.log

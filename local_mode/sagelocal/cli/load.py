"""The same request many times, some of them at once, and how long the answers took."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sagelocal.cli.calling import Answer, Caller

PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class Load:
    """Every answer, in the order in which they came, and the seconds of all together."""

    answers: Sequence[Answer]
    seconds: float

    @property
    def failed(self) -> Sequence[Answer]:
        return [answer for answer in self.answers if not answer.succeeded]

    def __str__(self) -> str:
        times = sorted(answer.seconds * 1000 for answer in self.answers)
        shown = [f"p{rank} {_percentile(times, rank):.2f}" for rank in PERCENTILES]
        return (
            f"{len(times)} requests in {self.seconds:.2f} s, {len(times) / self.seconds:.0f} per "
            f"second; milliseconds: {', '.join(shown)}, max {times[-1]:.2f}; "
            f"{len(self.failed)} failed"
        )


def send(caller: Caller, count: int, concurrency: int) -> Load:
    """Send `count` requests over `concurrency` kept connections. Raises CallError."""
    answers: list[Answer] = []
    left = iter(range(count))
    lock = threading.Lock()

    def work() -> None:
        connection = caller.connect()
        try:
            while True:
                with lock:
                    if next(left, None) is None:
                        return
                answer = caller.call(connection)
                with lock:
                    answers.append(answer)
        finally:
            connection.close()

    began = time.perf_counter()
    workers = min(count, concurrency)
    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(work) for _ in range(workers)]:
            done.result()
    return Load(answers, time.perf_counter() - began)


def _percentile(ordered: Sequence[float], rank: int) -> float:
    """The least value that `rank` percent do not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(len(ordered) * rank / 100) - 1)]

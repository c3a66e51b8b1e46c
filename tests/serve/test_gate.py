"""How many may be in the model, and how many may wait for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed

import pytest
from sagelocal_serve import Unavailable
from sagelocal_serve.gate import Gate


def test_one_more_than_capacity_and_queue_is_refused() -> None:
    gate = Gate(capacity=2, queue_size=0)
    gate.enter()
    gate.enter()
    with pytest.raises(Unavailable, match="SAGEMAKER_MODEL_JOB_QUEUE_SIZE"):
        gate.enter()
    gate.leave()
    gate.enter()


def test_one_waits_for_a_place_and_the_next_is_refused() -> None:
    gate = Gate(capacity=1, queue_size=1)
    gate.enter()
    with ThreadPoolExecutor(2) as pool:
        attempts = [pool.submit(gate.enter) for _ in range(2)]
        refused = next(as_completed(attempts, timeout=30))
        assert isinstance(refused.exception(), Unavailable)
        (waiting,) = (attempt for attempt in attempts if attempt is not refused)
        assert not waiting.done()
        gate.leave()
        waiting.result(30)

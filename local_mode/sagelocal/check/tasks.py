"""What is tried beside other things, once what must not be disturbed is over."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sagelocal.check.findings import Finding

Task = Callable[[], list[Finding]]

# Containers that wait, for a port or for a time to be over, leave processors to others; more than
# this at once would only take more memory on the two cores of a small machine.
_AT_ONCE = 3


@dataclass(frozen=True)
class Part:
    """What is known of one part of a check, and what is still to be tried of it."""

    findings: list[Finding]
    rest: tuple[Task, ...] = ()


def side_by_side(tasks: Iterable[Task]) -> list[Finding]:
    """What all of them find, in their order. Once one raises, no other begins."""
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        futures = [pool.submit(task) for task in tasks]
        return [finding for future in futures for finding in future.result()]
    finally:
        pool.shutdown(cancel_futures=True)

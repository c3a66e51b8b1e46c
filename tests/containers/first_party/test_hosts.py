"""Several hosts: real sockets between threads, each bound to a loopback address of its own."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sagelocal_first_party.hosts import Group, joined
from sagelocal_train.config import Resources
from sagelocal_train.errors import PlatformError

if TYPE_CHECKING:
    from tests.containers.conftest import OnHosts

HOSTS = ("127.0.0.2", "127.0.0.3", "127.0.0.4")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOSTS[0], 0))
        return int(probe.getsockname()[1])


def test_a_sum_is_the_same_on_every_host(on_hosts: OnHosts) -> None:
    def work(group: Group) -> list[Any]:
        big = np.full((300, 1000), group.rank, np.float64)
        return [array.sum() for array in group.sum(big, np.array(1))]

    assert on_hosts(3, work) == [[3 * 300_000, 3]] * 3


def test_arrays_are_gathered_in_the_order_of_hosts_and_handed_out(on_hosts: OnHosts) -> None:
    def work(group: Group) -> tuple[Any, Any]:
        gathered = group.gather(np.arange(group.rank, dtype=np.float32), np.array([True]))
        handed_out = group.broadcast(np.array([[group.rank + 7]]))
        return [[array.tolist() for array in arrays] for arrays in gathered], handed_out[0].tolist()

    everyones = [[[], [True]], [[0.0], [True]], [[0.0, 1.0], [True]]]
    assert on_hosts(3, work) == [(everyones, [[7]]), ([], [[7]]), ([], [[7]])]


def test_one_host_needs_no_network() -> None:
    with joined(Resources(), port=-1) as group:
        assert group.is_first
        assert group.sum(np.arange(3))[0].tolist() == [0, 1, 2]
        assert group.gather(np.array(4)) == [[4]]
        assert group.broadcast(np.array(5)) == [5]


def test_a_host_that_fails_ends_the_others() -> None:
    def work(group: Group) -> str:
        if group.rank == 1:
            raise KeyError("a mistake")
        try:
            group.sum(np.zeros(3))
        except PlatformError as error:
            return str(error)
        return "summed"

    port = free_port()

    def run(host: str) -> str:
        try:
            with joined(Resources(host, HOSTS), port, timeout_seconds=60) as group:
                return work(group)
        except KeyError as error:
            return str(error)

    with ThreadPoolExecutor(3) as pool:
        first, failed, other = pool.map(run, HOSTS)
    assert failed == "'a mistake'"
    assert "The host '127.0.0.3' of this job has gone while training" in first
    assert "The host '127.0.0.2' of this job has gone while training" in other


def test_hosts_that_never_come_are_named() -> None:
    with (
        pytest.raises(PlatformError, match=r"0\.0\.3 of this job have not joined 127\.0\.0\.2"),
        joined(Resources(HOSTS[0], HOSTS[:2]), free_port(), timeout_seconds=0.2),
    ):
        pass
    with (
        pytest.raises(PlatformError, match=r"'127\.0\.0\.2' of this job does not answer"),
        joined(Resources(HOSTS[1], HOSTS[:2]), free_port(), timeout_seconds=0.2),
    ):
        pass

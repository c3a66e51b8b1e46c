"""Ports of containers that share the machine's network."""

from __future__ import annotations

import socket

import pytest
from sagelocal.runtime import ports as module
from sagelocal.runtime.interface import RuntimeFault
from sagelocal.runtime.ports import Ports


def test_no_two_containers_share_a_port_and_all_can_be_bound() -> None:
    ports = Ports()
    given = [ports.give(f"container-{number}") for number in range(30)]
    numbers = [port for each in given for port in (each.bind, *each.safe)]
    assert len(numbers) == len(set(numbers))
    for number in numbers:
        # As servers do; the port may still know of a connection that has just ended.
        with socket.create_server(("127.0.0.1", number)):
            pass


def test_the_range_names_its_first_and_last_port() -> None:
    given = Ports().give("one")
    first, last = map(int, given.safe_range.split("-"))
    assert (first, last) == (given.safe[0], given.safe[-1])


def test_ports_in_use_are_passed_over_and_released_ones_given_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    taken = listener.getsockname()[1]
    monkeypatch.setattr(module, "_TO_BIND", range(taken, taken + 1))
    with listener, pytest.raises(RuntimeFault, match=f"from {taken} to {taken} are free"):
        Ports().give("one")
    ports = Ports()
    assert ports.give("one").bind == taken
    with pytest.raises(RuntimeFault):
        ports.give("two")
    ports.release("one")
    assert ports.give("two").bind == taken

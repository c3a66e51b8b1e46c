"""Several hosts of one job on each runtime: names that work, and nothing left of them."""

from __future__ import annotations

import errno
import os
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from sagelocal.runtime.interface import Handle, JobNetwork, RuntimeFault
from sagelocal.runtime.loopback import LoopbackAddresses

Eventually = Callable[[Callable[[], Any]], Any]

# Each host sends its number to every other host by name and prints the sum of all; all listen on
# the same port.
ALL_REDUCE = """
import socket, sys, time
own, *hosts = sys.argv[1:]
def connect(host):
    while True:
        try: return socket.create_connection((host, 29417), 5)
        except OSError: time.sleep(0.05)
server = socket.create_server((own, 29417), backlog=64)
number = hosts.index(own) + 1
others = [connect(host) for host in hosts if host != own]
for other in others:
    other.sendall(b"%d" % number); other.close()
def received():
    with server.accept()[0] as peer: return int(peer.makefile("rb").read())
print("sum", number + sum(received() for _ in others))
"""
NAMES = "import socket; print(socket.gethostname(), socket.gethostbyname('algo-1'))"


@pytest.fixture
def network(place: Any) -> Iterator[JobNetwork]:
    """The network of a job of three hosts, removed with what is on it."""
    network = JobNetwork(f"sagelocal-test-{uuid.uuid4().hex[:12]}", ("algo-1", "algo-2", "algo-3"))
    yield network
    place.runtime.remove_network(network.name)


def _start_all(place: Any, network: JobNetwork, **changes: Any) -> list[tuple[Any, Handle]]:
    command = ("python", "-c", ALL_REDUCE)
    specs = [
        place.spec(*command, host, *network.hosts, hostname=host, network=network, **changes)
        for host in network.hosts
    ]
    return [(spec, place.start_spec(spec)) for spec in specs]


def test_hosts_reach_one_another_by_name(place: Any, network: JobNetwork) -> None:
    for spec, handle in _start_all(place, network):
        ended = place.runtime.wait(handle, 60)
        assert (ended.code, place.lines(spec)) == (0, ["sum 6"])


def test_jobs_at_the_same_time_do_not_meet(place: Any, network: JobNetwork) -> None:
    other = JobNetwork(f"{network.name}-other", network.hosts)
    try:
        started = _start_all(place, network) + _start_all(place, other)
        assert [place.runtime.wait(handle, 60).code for _, handle in started] == [0] * 6
        assert [place.lines(spec) for spec, _ in started] == [["sum 6"]] * 6
    finally:
        place.runtime.remove_network(other.name)


def test_a_host_finds_itself_by_its_own_name(place: Any, network: JobNetwork) -> None:
    _, lines = place.run("python", "-c", NAMES, hostname="algo-1", network=network)
    name, address = lines[0].split()
    assert name == "algo-1"
    assert address not in ("127.0.0.1", "127.0.1.1")


def test_a_host_that_has_ended_keeps_its_name(place: Any, network: JobNetwork) -> None:
    code = "import socket; print(socket.gethostbyname('algo-1'), socket.gethostbyname('algo-3'))"
    place.run("true", hostname="algo-1", network=network)
    _, lines = place.run("python", "-c", code, hostname="algo-2", network=network)
    assert len(set(lines[0].split())) == 2


def test_the_interface_that_is_named_is_there(place: Any, network: JobNetwork) -> None:
    code = "import socket; print(*(name for _, name in socket.if_nameindex()))"
    _, lines = place.run("python", "-c", code, hostname="algo-1", network=network)
    assert place.runtime.network_interface in lines[0].split()


def test_the_next_plane_adds_hosts_to_the_same_network(place: Any, network: JobNetwork) -> None:
    command = ("python", "-c", ALL_REDUCE)
    hosts = network.hosts[:2]
    first = place.spec(*command, "algo-1", *hosts, hostname="algo-1", network=network)
    second = place.spec(*command, "algo-2", *hosts, hostname="algo-2", network=network)
    handle = place.start_spec(first)
    following = place.open()
    place.keep(following.start(second))
    assert following.wait(handle, 60).code == 0
    # Both planes live in this process and follow the log.
    assert set(place.lines(first)) == {"sum 3"}


def test_removing_a_network_ends_what_is_left_on_it(place: Any, network: JobNetwork) -> None:
    alone = place.spec("sleep", "600", hostname="algo-1", network=network)
    handle = place.start_spec(alone)
    for _ in range(2):
        place.runtime.remove_network(network.name)
    assert place.open().wait(handle, 60).code == 137


def test_isolated_hosts_reach_one_another_and_nothing_else(place: Any, network: JobNetwork) -> None:
    outside = (
        "import socket\n"
        "try: socket.create_connection(('192.0.2.1', 80), 3)\n"
        "except OSError: print('no way out')"
    )
    for spec, handle in _start_all(place, network, network_isolation=True):
        assert place.runtime.wait(handle, 60).code == 0
        assert place.lines(spec) == ["sum 6"]
    alone = {"hostname": "algo-1", "network": network, "network_isolation": True}
    _, lines = place.run("python", "-c", outside, **alone)
    assert lines == ["no way out"]


def test_isolated_hosts_of_processes_share_a_network_that_this_machine_is_not_on(
    process_place: Any, eventually: Eventually
) -> None:
    network = JobNetwork("isolated", ("algo-1", "algo-2"))
    shown = "import os; print(os.readlink('/proc/self/ns/net'))"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        tries = f"{shown}; import socket; print(socket.socket().connect_ex(('127.0.0.1', {port})))"
        waits = f"{shown}; import time; time.sleep(600)"
        options = {"network": network, "network_isolation": True}
        first = process_place.spec("python", "-uc", waits, hostname="algo-1", **options)
        handle = process_place.start_spec(first)
        _, second = process_place.run("python", "-c", tries, hostname="algo-2", **options)
        before = eventually(lambda: process_place.lines(first))
        process_place.runtime.stop(handle, 0)
        _, third = process_place.run("python", "-c", shown, hostname="algo-2", **options)
    assert second == [*before, str(errno.ECONNREFUSED)]
    own = os.readlink("/proc/self/ns/net")
    # All of the first have ended: what comes then begins anew.
    assert own not in (second[0], third[0])
    process_place.runtime.remove_network(network.name)


@pytest.mark.docker
def test_no_network_is_left_at_the_engine(docker_place: Any) -> None:
    network = JobNetwork(f"sagelocal-test-{uuid.uuid4().hex[:12]}", ("algo-1", "algo-2"))
    engine = docker.from_env()
    try:
        docker_place.run("true", hostname="algo-1", network=network)
        assert engine.networks.list(names=[network.name])
        docker_place.runtime.remove_network(network.name)
        assert not engine.networks.list(names=[network.name])
    finally:
        engine.close()


def test_hosts_without_names_are_refused_and_not_started_alone(process_place: Any) -> None:
    # The kernel refuses a host name of more than 64 bytes, as it would refuse a namespace.
    network = JobNetwork("job", ("x" * 65, "algo-2"))
    with pytest.raises(RuntimeFault, match="use Docker or one instance"):
        process_place.start("true", hostname="x" * 65, network=network)


def test_addresses_outlive_the_plane_and_are_given_again_once_released(tmp_path: Path) -> None:
    first, second = JobNetwork("first", ("algo-1", "algo-2")), JobNetwork("second", ("algo-1",))
    addresses = LoopbackAddresses(tmp_path / "networks")
    given = addresses.of(first)
    assert list(given) == ["algo-1", "algo-2"]
    assert LoopbackAddresses(tmp_path / "networks").of(first) == given
    assert not set(addresses.of(second).values()) & set(given.values())
    for _ in range(2):
        addresses.release("first")
    assert [path.read_text() for path in (tmp_path / "networks").iterdir()] == ["second"]
    for address in given.values():
        socket.create_server((address, 0)).close()


def test_more_hosts_than_there_are_addresses_are_refused(tmp_path: Path) -> None:
    crowd = JobNetwork("crowd", tuple(f"algo-{number}" for number in range(1, 256)))
    with pytest.raises(RuntimeFault, match="255 hosts are asked for"):
        LoopbackAddresses(tmp_path).of(crowd)

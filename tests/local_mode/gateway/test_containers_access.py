"""Containers find the plane at an address of their own, and nobody else does."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from sagelocal.gateway.dispatch import Exchange
from sagelocal.gateway.handlers import PeerCheck
from sagelocal.protocol.http import Headers, HttpRequest


def _check(host: str, peer: str) -> int | None:
    """The status with which a peer is refused; None for one that is let in."""
    request = HttpRequest("GET", "/", "", Headers(()), None, 0)  # type: ignore[arg-type]
    check = PeerCheck(host, lambda address: address == "172.17.0.9")
    response = check(Exchange(request, "http://172.17.0.1:4570", peer=peer))
    return response.status if response else None


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "172.17.0.9"])
def test_this_machine_and_its_containers_are_let_in(peer: str) -> None:
    assert _check("127.0.0.1", peer) is None


@pytest.mark.parametrize("peer", ["192.0.2.7", "172.17.0.8", "2001:db8::1", ""])
def test_whoever_else_found_the_address_is_refused(peer: str) -> None:
    assert _check("127.0.0.1", peer) == 403
    assert _check("localhost", peer) == 403


def test_a_plane_that_was_told_to_listen_to_the_network_lets_everybody_in() -> None:
    assert _check("0.0.0.0", "192.0.2.7") is None
    assert _check("192.0.2.1", "192.0.2.7") is None


def test_it_listens_where_the_runtime_says_that_containers_look(server: Any) -> None:
    # The runtime of the small plane says 127.0.0.2; the plane is open once it answers at all.
    assert server.client("s3").head_bucket(Bucket="b")
    url = f"http://127.0.0.2:{server.port}/_sagelocal/health"
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.status == 200


def test_it_listens_nowhere_else(server: Any) -> None:
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.3", server.port)) != 0


def test_a_name_that_is_not_ours_is_refused_at_the_containers_address_too(server: Any) -> None:
    assert server.client("s3").head_bucket(Bucket="b")
    request = urllib.request.Request(
        f"http://127.0.0.2:{server.port}/", headers={"Host": f"evil.example:{server.port}"}
    )
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(request, timeout=10)
    with refusal.value as answer:
        assert answer.status == 403


def test_an_address_that_is_taken_is_told_and_keeps_nothing_from_working(
    start: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    with socket.create_server(("127.0.0.2", 0)) as taken:
        server = start(None, taken.getsockname()[1])
        assert server.client("s3").head_bucket(Bucket="b")
        eventually(lambda: "containers cannot reach S3" in server.log())

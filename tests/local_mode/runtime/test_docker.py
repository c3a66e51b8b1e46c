"""What only the Docker runtime has: the engine's settings, images of one's own, no engine."""

from __future__ import annotations

import concurrent.futures
import os
import socket
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sagelocal.runtime.docker_logs import Position

Eventually = Callable[[Callable[[], Any]], Any]
pytestmark = pytest.mark.docker

SERVE = """
import http.server, os, socket
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            socket.create_connection(("192.0.2.1", 80), 2); text = b"connected"
        except OSError:
            text = b"nobody"
        self.send_response(200); self.end_headers(); self.wfile.write(text)
http.server.HTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""


def _docker(*arguments: str) -> str:
    return subprocess.run(
        ["docker", *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def _inspect(handle: Any, template: str) -> str:
    return _docker("inspect", "--format", template, handle.id)


def test_the_engine_is_told_the_limits_and_keeps_every_log_line(docker_place: Any) -> None:
    handle = docker_place.start("sleep", "600", memory_bytes=64 * 1024 * 1024, cpus=10_000.0)
    fields = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.Init}}"
    assert _inspect(handle, fields) == "67108864 67108864 false"
    assert int(_inspect(handle, "{{.HostConfig.NanoCpus}}")) <= (os.cpu_count() or 1) * 10**9
    assert _inspect(handle, '{{index .HostConfig.LogConfig.Config "max-size"}}') == "1024t"


def test_shared_memory_is_half_the_limit_for_training_and_dockers_default_for_serving(
    docker_place: Any,
) -> None:
    training = docker_place.start("sleep", "600", memory_bytes=2 << 30)
    serving = docker_place.start("sleep", "600", memory_bytes=2 << 30, port=8080)
    sizes = [_inspect(handle, "{{.HostConfig.ShmSize}}") for handle in (training, serving)]
    assert sizes == [str(1 << 30), str(64 << 20)]


def test_ports_are_published_on_loopback_only(docker_place: Any) -> None:
    handle = docker_place.start("sleep", "600", port=8080)
    assert _docker("port", handle.id).startswith("8080/tcp -> 127.0.0.1:")


def test_labels_say_whose_it_is(docker_place: Any) -> None:
    handle = docker_place.start("sleep", "600", labels={"job": "j"})
    assert _inspect(handle, '{{index .Config.Labels "sagelocal.job"}}') == "j"
    assert _inspect(handle, '{{index .Config.Labels "sagelocal.folder"}}').startswith("/")


def test_an_isolated_server_is_reached_but_reaches_nobody(
    docker_place: Any, eventually: Eventually
) -> None:
    handle = docker_place.start("python", "-c", SERVE, port=8080, network_isolation=True)
    address = docker_place.runtime.address(handle)

    def get() -> bytes:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                body: bytes = answer.read()
                return body
        except OSError:
            return b""

    assert eventually(get) == b"nobody"


def test_a_local_image_goes_before_the_family_of_the_same_name(docker_place: Any) -> None:
    uri = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/probe-repository:own"
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", uri, "-"],
        input="FROM sagelocal/probe:test\nENV OF_THE_IMAGE=own\n",
        check=True,
        capture_output=True,
        text=True,
    )
    try:
        _, lines = docker_place.run("sh", "-c", "echo $OF_THE_IMAGE", image=uri)
    finally:
        _docker("rmi", "--force", uri)
    assert lines == ["own"]


def test_a_container_that_was_only_created_is_cleared_away(docker_place: Any) -> None:
    folder = (docker_place.folder / "docker").resolve()
    left = _docker("create", "--label", f"sagelocal.folder={folder}", "sagelocal/probe:test")
    docker_place.open()
    assert not _docker("ps", "--all", "--quiet", "--filter", f"id={left}")


def test_one_removed_by_hand_counts_as_killed(docker_place: Any) -> None:
    handle = docker_place.start("sleep", "600")
    _docker("rm", "--force", handle.id)
    assert docker_place.runtime.wait(handle, 30).code == 137
    assert docker_place.runtime.stop(handle, 1).code == 137
    assert docker_place.runtime.address(handle) is None


def test_a_log_cut_short_is_written_again(docker_place: Any) -> None:
    spec = docker_place.spec("sh", "-c", "echo one; echo two; echo three")
    handle = docker_place.start_spec(spec)
    docker_place.runtime.wait(handle, 30)
    spec.log_path.write_text("")
    docker_place.open().wait(handle, 30)
    assert docker_place.lines(spec) == ["one", "two", "three"]


def test_the_last_line_is_never_missed(docker_place: Any) -> None:
    # Some engines end the stream before its last line, one time in three.
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda _: docker_place.run("sh", "-c", "echo a; printf z")[1], range(12))
        )
    assert found == [["a", "z"]] * 12


def test_a_position_outlives_its_writer(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("1\tbefore\n")
    position = Position(tmp_path / "p.position")
    position.begin(log)
    assert position.read() == (0, 9)
    with position.writer() as writer:
        writer.put(12, 3456)
    assert Position(tmp_path / "p.position").read() == (12, 3456)
    position.forget()
    assert position.read() == (0, 0)


def test_containers_find_the_machine_at_an_address_of_its_bridge(docker_place: Any) -> None:
    address = docker_place.runtime.host_address()
    script = f"import socket; print(socket.create_connection(('{address}', PORT), 5).getpeername())"
    with socket.create_server((address, 0)) as server:
        port = server.getsockname()[1]
        ended, lines = docker_place.run("python", "-c", script.replace("PORT", str(port)))
        connection, (peer, _) = server.accept()
        connection.close()
    assert ended.code == 0, lines
    assert docker_place.runtime.is_container(peer)


def test_only_addresses_of_the_engines_networks_are_containers(docker_place: Any) -> None:
    assert not docker_place.runtime.is_container("192.0.2.200")
    assert not docker_place.runtime.is_container("not an address")


def test_another_version_is_said_of_the_family_s_image_and_no_other(docker_place: Any) -> None:
    """Also where SDK local mode has the family's image tagged with the name that it asked for."""
    asked = f"763104351884.dkr.ecr.us-west-2.amazonaws.com/probe-repository:2.0.{os.getpid()}"
    docker_place.runtime.prepare(asked)
    note = docker_place.runtime.version_note(asked)
    _docker("tag", "sagelocal/probe:test", asked)
    try:
        later = docker_place.open()
        later.prepare(asked)
        tagged = later.version_note(asked)
        _docker("tag", "sagelocal/base:1", asked)
        other = later.version_note(asked)
    finally:
        _docker("rmi", "--no-prune", asked)

    assert note == (
        f"The image {asked} asks for probe 2.0.{os.getpid()}; sagelocal/probe:test, which runs in "
        "its place, has probe 2.1.0"
    )
    assert tagged == note
    assert other is None

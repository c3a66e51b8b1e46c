"""kill -9 of the plane: endpoints go on where they were."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any


def containers_of(hosting: Any) -> list[int]:
    """The process ids of the echo servers below the plane's folder."""
    needle = str(hosting.plane.data_dir).encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            is_server = b"bin/serve" in (process / "cmdline").read_bytes()
            if is_server and needle in (process / "environ").read_bytes():
                found.append(int(process.name))
    return found


def test_an_endpoint_in_service_serves_on_from_the_same_container(hosting: Any) -> None:
    hosting.deploy("echo")
    before = containers_of(hosting)
    hosting.plane.restart()
    assert hosting.invoke("echo") == b"hello"
    assert hosting.describe("echo")["EndpointStatus"] == "InService"
    assert containers_of(hosting) == before
    (lines,) = hosting.log_lines("echo").values()
    assert [line for line in lines if line.startswith("starting")] == ["starting with"]


def test_an_adopted_container_that_dies_is_started_again(hosting: Any) -> None:
    hosting.deploy("echo")
    hosting.plane.restart()
    for pid in containers_of(hosting):
        os.kill(pid, signal.SIGKILL)
    assert hosting.invoke_until_served("echo") == b"hello"


def test_a_container_that_died_with_the_plane_is_started_again(hosting: Any) -> None:
    hosting.deploy("echo")
    hosting.plane.kill()
    for pid in containers_of(hosting):
        os.kill(pid, signal.SIGKILL)
    hosting.plane.start()
    assert hosting.invoke_until_served("echo") == b"hello"


def test_an_endpoint_in_creation_comes_into_service(hosting: Any) -> None:
    hosting.create("echo", hosting.container(START="slow:2"))
    deadline = time.monotonic() + 10
    while not containers_of(hosting):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    hosting.plane.restart()
    hosting.await_status("echo", "InService")
    assert len(containers_of(hosting)) == 1


def test_an_endpoint_killed_before_its_container_comes_into_service(hosting: Any) -> None:
    hosting.create("echo")
    hosting.plane.restart()
    hosting.await_status("echo", "InService")
    assert hosting.invoke("echo") == b"hello"
    assert len(containers_of(hosting)) == 1


def test_an_update_is_carried_through(hosting: Any) -> None:
    hosting.deploy("echo", hosting.container(MODEL_TAG="old"))
    hosting.configure("new", hosting.container(START="slow:2", MODEL_TAG="new"))
    hosting.sagemaker.update_endpoint(EndpointName="echo", EndpointConfigName="new")
    hosting.plane.restart()
    assert hosting.invoke("echo") == b"old:hello"
    deadline = time.monotonic() + 20
    while hosting.invoke("echo") != b"new:hello":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    while len(containers_of(hosting)) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_deletion_is_carried_through(hosting: Any) -> None:
    hosting.deploy("echo")
    hosting.sagemaker.delete_endpoint(EndpointName="echo")
    hosting.plane.restart()
    hosting.await_gone("echo")
    assert containers_of(hosting) == []


def test_a_stopped_plane_leaves_endpoints_serving_for_the_next(hosting: Any) -> None:
    hosting.deploy("echo")
    before = containers_of(hosting)
    hosting.plane.stop()
    assert containers_of(hosting) == before
    hosting.plane.start()
    assert hosting.invoke("echo") == b"hello"

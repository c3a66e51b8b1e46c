"""Endpoints on Docker: what differs from processes is the container, not the endpoint."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.docker
IMAGE = Path(__file__).parent / "images" / "echo"


def docker(*arguments: str) -> list[str]:
    """The words that a docker command prints."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def containers_of(hosting: Any) -> list[str]:
    """Every container of the plane, whether it runs or not."""
    folder = hosting.plane.data_dir.resolve() / "docker"
    return docker("ps", "--all", "--quiet", "--filter", f"label=sagelocal.folder={folder}")


@pytest.fixture(scope="session")
def _image() -> None:
    """test-echo on the base image, which `make base image-base` builds."""
    docker("build", "--quiet", "--tag", "sagelocal/test-echo:1", str(IMAGE))


@pytest.fixture
def hosting(_image: None, start_hosting: Callable[..., Any]) -> Iterator[Any]:
    started = start_hosting(runtime="docker", hosting_stop_grace_seconds=5)
    yield started
    # The plane goes first: what it is removing itself cannot be removed by us.
    started.plane.stop()
    for container in containers_of(started):
        docker("rm", "--force", container)


def test_a_model_is_deployed_called_and_deleted(hosting: Any) -> None:
    hosting.deploy("echo", hosting.container(COLOUR="blue"))
    assert hosting.invoke("echo", b"\x00\xff") == b"\x00\xff"
    assert hosting.invoke("echo", b"file weights") == b"\x00\x01\xff"
    assert hosting.invoke("echo", b"environment COLOUR") == b"blue"
    streamed = hosting.runtime.invoke_endpoint_with_response_stream(
        EndpointName="echo", Body=b"stream one two"
    )
    with contextlib.closing(streamed["Body"]) as events:
        parts = (event["PayloadPart"]["Bytes"] for event in events)
        assert next(parts) == b"one"
        hosting.invoke("echo", b"go on")
        assert list(parts) == [b"two"]
    ((stream, lines),) = hosting.log_lines("echo").items()
    assert stream.startswith("AllTraffic/i-")
    assert lines[0] == "starting with"
    hosting.sagemaker.delete_endpoint(EndpointName="echo")
    hosting.await_gone("echo")
    assert containers_of(hosting) == []


def test_an_endpoint_serves_on_when_the_plane_is_killed(hosting: Any) -> None:
    hosting.deploy("echo")
    before = containers_of(hosting)
    hosting.plane.restart()
    assert hosting.invoke("echo") == b"hello"
    assert containers_of(hosting) == before


def test_a_container_that_dies_is_started_again(hosting: Any) -> None:
    hosting.deploy("echo")
    with pytest.raises(ClientError):
        hosting.invoke("echo", b"die")
    assert hosting.invoke_until_served("echo") == b"hello"
    assert len(containers_of(hosting)) == 1


def test_a_container_that_died_with_the_plane_is_started_again(hosting: Any) -> None:
    hosting.deploy("echo")
    hosting.plane.kill()
    docker("kill", *containers_of(hosting))
    hosting.plane.start()
    assert hosting.invoke_until_served("echo") == b"hello"
    assert len(containers_of(hosting)) == 1


def test_the_containers_of_a_pipeline_listen_where_they_are_told(hosting: Any) -> None:
    hosting.deploy("echo", hosting.container(MODEL_TAG="1"), hosting.container(MODEL_TAG="2"))
    assert hosting.invoke("echo", b"x") == b"2:1:x"


def test_an_isolated_model_is_served(hosting: Any) -> None:
    hosting.deploy("echo", hosting.container(), model={"EnableNetworkIsolation": True})
    assert hosting.invoke("echo") == b"hello"


def test_the_headers_are_those_of_the_client_alone(hosting: Any) -> None:
    hosting.deploy("echo")
    names = {name.lower() for name in json.loads(hosting.invoke("echo", b"headers "))}
    assert names <= {"host", "content-type", "content-length", "accept"}


def test_an_image_that_is_not_there_fails_the_endpoint(hosting: Any) -> None:
    hosting.create("unknown", hosting.container(image="nobody/knows:1"))
    reason = hosting.await_status("unknown", "Failed")["FailureReason"]
    assert "docker pull nobody/knows:1" in reason


def test_a_container_that_ends_at_its_start_fails_the_endpoint(hosting: Any) -> None:
    hosting.create("broken", hosting.container(START="exit"))
    reason = hosting.await_status("broken", "Failed")["FailureReason"]
    assert "ended with exit code 7" in reason
    assert "the model is broken" in reason

"""What stops a push: each is one line with what happened and the next step."""

from __future__ import annotations

import re
import socket
import uuid
from pathlib import Path

import pytest

from tests.local_mode.push.conftest import Build, Cloud
from tests.local_mode.push.test_push import fresh

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def image(build: Build) -> str:
    return build(f"pushed-{uuid.uuid4().hex[:12]}:v1", fresh())


def complaint(cloud: Cloud, *arguments: str, **environment: str | None) -> str:
    """The one line that a push ends with."""
    done = cloud.push(*arguments, **environment)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("Error: "))
    assert done.stderr.endswith(f"{line}\n")
    return line


def test_without_an_engine(cloud: Cloud, image: str, tmp_path: Path) -> None:
    nobody = f"unix://{tmp_path}/nobody.sock"

    line = complaint(cloud, image, DOCKER_HOST=nobody)

    assert f"needs a Docker engine, and none answers at {nobody}" in line
    assert line.endswith("Start Docker, or set DOCKER_HOST.")


def test_without_credentials(cloud: Cloud, image: str) -> None:
    line = complaint(cloud, image, AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)

    assert "no AWS credentials" in line
    assert "`aws configure`" in line
    assert "`sagelocal exec -- COMMAND`" in line


def test_without_a_region(cloud: Cloud, image: str) -> None:
    line = complaint(cloud, image, AWS_DEFAULT_REGION=None)

    assert "no AWS region: set AWS_REGION or --region" in line


def test_a_region_that_there_is_not(cloud: Cloud, image: str) -> None:
    line = complaint(cloud, image, "--region", "eu-centrl-1")

    assert "'eu-centrl-1' is no region of ECR that botocore " in line
    assert line.endswith("; did you mean eu-central-1?")


def test_a_profile_that_there_is_not(cloud: Cloud, image: str, tmp_path: Path) -> None:
    configuration = tmp_path / "config"
    configuration.write_text("[profile work]\nregion = us-east-1\n")

    line = complaint(cloud, image, "--profile", "wrok", AWS_CONFIG_FILE=str(configuration))

    assert "there is no AWS profile 'wrok'; known: work" in line


def test_an_image_that_is_not_there(cloud: Cloud, name: str) -> None:
    line = complaint(cloud, f"{name}:never")

    assert f"Docker knows no image '{name}:never'" in line
    assert f"`docker build -t {name}:never FOLDER`" in line


def test_a_name_that_can_be_no_repository(cloud: Cloud, image: str) -> None:
    line = complaint(cloud, image, "--repository", "Team/Mine")

    assert "'Team/Mine' can be no repository of ECR" in line
    assert "--repository" in line


def test_an_endpoint_at_which_nothing_answers(cloud: Cloud, image: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        line = complaint(cloud, image, AWS_ENDPOINT_URL=url)

    assert "ecr in us-east-1 cannot be reached" in line
    assert url in line
    assert "AWS_ENDPOINT_URL" in line


def test_a_registry_that_does_not_know_the_password(
    cloud: Cloud, image: str, start_plane: object, tmp_path: Path
) -> None:
    assert callable(start_plane)
    wrong = tmp_path / "wrong"
    wrong.write_text("not-the-password")
    other = start_plane(ecr_registry=cloud.registry.address, ecr_password_file=str(wrong))
    other.client("ecr").create_repository(repositoryName=image.partition(":")[0])

    line = complaint(Cloud(other, cloud.registry), image)

    assert f"The registry at {cloud.registry.address} refuses the user AWS" in line
    assert "--ecr-password-file" in line
    assert not re.search("not-the-password", line)

"""The script that every notebook about one's own container runs, and a job with what it pushed."""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.clients,
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]

HERE = Path(__file__).parent
CONTEXT = HERE.parent / "containers" / "byoc"
MAKE_BASE = HERE.parents[1] / "containers" / "base" / "make_base.sh"
REGISTRY = "000000000000.dkr.ecr.us-east-1.amazonaws.com"


@pytest.fixture(scope="module")
def repository() -> Iterator[str]:
    name = f"pushed-{uuid.uuid4().hex[:8]}"
    yield name
    for image in (name, f"{REGISTRY}/{name}:latest"):
        subprocess.run(["docker", "image", "rm", "--force", image], capture_output=True)


@pytest.fixture(scope="module")
def terminal(make_terminal: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    terminal = make_terminal(tmp_path_factory.mktemp("push") / "data", "docker")
    terminal.sagelocal("up", "--port", "0")
    yield terminal
    terminal.sagelocal("down")


@pytest.fixture(scope="module")
def printed(terminal: Any, repository: str) -> str:
    """What the script printed, run as it is."""
    base = subprocess.run(["sh", MAKE_BASE], check=True, capture_output=True, text=True).stdout
    script = f'PATH="$PATH:{terminal.programs}"; . "$0"'
    arguments = (HERE / "byoc" / "build_and_push.sh", repository, CONTEXT, base.strip())
    told: str = terminal.sagelocal("exec", "--", "sh", "-c", script, *arguments)
    return told


def test_the_script_logs_in_and_pushes_as_it_would_to_the_cloud(
    printed: str, repository: str
) -> None:
    assert "Login Succeeded" in printed
    assert f"The push refers to repository [{REGISTRY}/{repository}]" in printed
    assert re.search(r"^latest: digest: sha256:[0-9a-f]{64} size: \d+$", printed, re.MULTILINE)


def test_a_job_names_the_pushed_image_by_tag_and_by_digest(
    printed: str, terminal: Any, repository: str
) -> None:
    program = HERE / "byoc" / "pushed.py"
    told = terminal.sagelocal("exec", "--", terminal.clients, "-W", "ignore", program, repository)
    seen = json.loads(told.strip().splitlines()[-1])
    assert [image["imageTags"] for image in seen["details"]] == [["latest"]]
    assert seen["details"][0]["imageDigest"] in printed
    assert len(seen["artifacts"]) == 2


def test_a_push_to_a_repository_that_is_not_there_says_so(
    printed: str, terminal: Any, repository: str
) -> None:
    image = f"{REGISTRY}/never-made:latest"
    push = f"docker tag {repository} {image} && docker push {image}; echo status $?"
    try:
        told = terminal.sagelocal("exec", "--", "sh", "-c", push)
    finally:
        subprocess.run(["docker", "image", "rm", image], capture_output=True)
    assert "name unknown: The repository with name 'never-made' does not exist" in told
    assert "status 1" in told


def test_a_pull_gives_the_image_of_an_algorithm_the_name_that_was_asked_for(terminal: Any) -> None:
    uri = "382416733822.dkr.ecr.us-east-1.amazonaws.com/linear-learner:1"
    try:
        told = terminal.sagelocal("exec", "--", "docker", "pull", uri)
        found = subprocess.run(
            ["docker", "image", "inspect", "--format", "{{json .RepoTags}}", uri],
            capture_output=True,
            text=True,
        )
    finally:
        subprocess.run(["docker", "image", "rm", uri], capture_output=True)
    assert f"Status: Image is up to date for {uri}" in told
    assert {uri, "sagelocal/linear-learner:1"} <= set(json.loads(found.stdout))


def test_everything_else_is_the_real_docker(terminal: Any) -> None:
    told = terminal.sagelocal("exec", "--", "docker", "version", "--format", "{{.Client.Version}}")
    real = subprocess.run(
        ["docker", "version", "--format", "{{.Client.Version}}"], capture_output=True, text=True
    )
    assert told == real.stdout

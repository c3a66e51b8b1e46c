"""A cloud to push to: a plane with a real registry behind it, and small images."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.image_registry import ImageRegistry, image_registry
from tests.saved_image import saved_image

SAGELOCAL = Path(sys.executable).with_name("sagelocal")


@dataclass(frozen=True)
class Cloud:
    """A control plane at an address of its own; all that a client knows of it is in variables."""

    plane: Any
    registry: ImageRegistry

    @property
    def environment(self) -> dict[str, str]:
        """Of a user who has an account there, and no other configuration."""
        kept = {n: v for n, v in os.environ.items() if not n.startswith("AWS_")}
        return {
            **kept,
            "AWS_ENDPOINT_URL": self.plane.url,
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "somebody",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    @property
    def ecr(self) -> Any:
        return self.plane.client("ecr")

    def push(self, *arguments: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
        """`sagelocal push`; variables that are None are taken away."""
        return subprocess.run(
            [SAGELOCAL, "push", *arguments],
            env=self.changed(**environment),
            capture_output=True,
            text=True,
        )

    def pushed(self, *arguments: str) -> Any:
        """The result of a push that works."""
        done = self.push(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def changed(self, **environment: str | None) -> dict[str, str]:
        wanted = {**self.environment, **environment}
        return {name: value for name, value in wanted.items() if value is not None}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageRegistry]:
    with image_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(scope="module")
def cloud(start_shared_plane: Callable[..., Any], registry: ImageRegistry) -> Cloud:
    return Cloud(start_shared_plane(**registry.settings), registry)


@pytest.fixture
def name() -> str:
    """Of a repository and its image that nobody else has."""
    return f"pushed-{uuid.uuid4().hex[:12]}"


Build = Callable[..., str]


@pytest.fixture(scope="module")
def build() -> Iterator[Build]:
    """`build(tag, *layers, architecture=)` makes an image with a file of those bytes per layer."""
    made: list[str] = []

    def build(tag: str, *layers: bytes, architecture: str = "amd64") -> str:
        _docker("load", input=saved_image(tag, layers, architecture))
        # Not by its name: a push that was killed has left another one.
        made.append(_docker("image", "inspect", "--format", "{{.Id}}", tag).strip())
        return tag

    yield build
    subprocess.run(["docker", "image", "rm", "--force", *made], capture_output=True)


def _docker(*arguments: str, input: bytes | None = None) -> str:
    done = subprocess.run(["docker", *arguments], input=input, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()

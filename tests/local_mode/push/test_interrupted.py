"""A push that is cut off in the middle goes on where it was."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.local_mode.push.conftest import SAGELOCAL, Build, Cloud
from tests.local_mode.push.gate import gate

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]

SMALL, LARGE = 100, 12_000_000
LIMIT = 1_000_000


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGINT], ids=lambda s: s.name)
def test_layers_that_were_sent_are_not_sent_again(
    ended_by: signal.Signals,
    start_plane: Callable[..., Any],
    cloud: Cloud,
    build: Build,
    name: str,
) -> None:
    seed = uuid.uuid4().bytes
    image = build(f"{name}:v1", seed * (SMALL // 16), _noise(seed, LARGE))
    with gate(cloud.registry.address, LIMIT) as way:
        plane = start_plane(**{**cloud.registry.settings, "ecr_registry": way.address})
        behind = Cloud(plane, cloud.registry)
        with subprocess.Popen(
            [SAGELOCAL, "push", image],
            env=behind.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as first:
            assert first.stderr is not None
            assert any(re.search(r"^layer \w+ sent .* 1 of 2$", line) for line in first.stderr)
            first.send_signal(ended_by)
            said = first.stderr.read()
        assert behind.ecr.describe_images(repositoryName=name)["imageDetails"] == []
        way.open()

        result = behind.pushed(image)

    if ended_by is signal.SIGINT:
        assert first.returncode == 130
        assert "Layers that were sent are kept: the same command sends the rest." in said
    (pushed,) = result["images"]
    assert (pushed["layersSent"], pushed["layersThere"]) == (1, 1)
    assert result["repositoryCreated"] is False
    details = plane.client("ecr").describe_images(repositoryName=name)["imageDetails"]
    assert [(each["imageTags"], each["imageDigest"]) for each in details] == [
        (["v1"], result["digest"])
    ]


def _noise(seed: bytes, size: int) -> bytes:
    """Bytes that do not get smaller when they are packed."""
    return random.Random(seed).randbytes(size)

"""Endpoints on instance types with GPUs, where there are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sagelocal.runtime.gpus import gpu_count

pytestmark = pytest.mark.skipif(gpu_count() > 0, reason="this machine has a GPU")

TYPE = "ml.g4dn.xlarge"


def test_an_endpoint_runs_on_processors_and_says_so(hosting: Any) -> None:
    hosting.deploy("echo", hosting.container(), InstanceType=TYPE)

    note = (
        f"{TYPE} has 1 GPU, and the process runtime of this machine can give none to a container; "
        "it runs on processors (SAGELOCAL_GPUS=required refuses this)"
    )
    (lines,) = hosting.log_lines("echo").values()
    assert lines[0] == note
    assert hosting.plane.log().count(note) == 1
    assert hosting.invoke("echo") == b"hello"


def test_required_gpus_that_are_not_there_fail_the_endpoint(
    start_hosting: Callable[..., Any],
) -> None:
    hosting = start_hosting(gpus="required")
    hosting.create("echo", hosting.container(), InstanceType=TYPE)

    reason = hosting.await_status("echo", "Failed")["FailureReason"]

    assert f"{TYPE} has 1 GPU, and the process runtime of this machine can give none" in reason
    assert "SAGELOCAL_GPUS=available" in reason

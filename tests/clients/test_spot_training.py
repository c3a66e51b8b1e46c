"""A managed spot job of the SageMaker SDK, interrupted with `sagelocal interrupt`."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.clients, pytest.mark.slow]

SAGELOCAL = Path(sys.executable).with_name("sagelocal")
IMAGES = Path(__file__).parents[1] / "local_mode" / "services" / "training" / "images"
SCRIPT = """
folder = base / "checkpoints"
if (folder / "epoch").exists():
    print("resumed from epoch", (folder / "epoch").read_text(), flush=True)
    time.sleep(3)
else:
    (folder / "epoch").write_text("5")
    print("waiting", flush=True)
    time.sleep(600)
"""
TRAIN = """
import json, sys
import sagemaker
from sagemaker.estimator import Estimator

session = sagemaker.Session()
estimator = Estimator(
    "123456789012.dkr.ecr.us-east-1.amazonaws.com/test-script:latest",
    sagemaker.get_execution_role(), instance_count=1, instance_type="ml.m5.large",
    use_spot_instances=True, max_run=600, max_wait=1200, sagemaker_session=session,
    checkpoint_s3_uri=f"s3://{session.default_bucket()}/checkpoints",
    hyperparameters={"script": json.dumps(sys.argv[1])})
estimator.fit(job_name="spot")
"""


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables of a terminal whose plane has the test's image."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "SAGELOCAL_DATA": str(tmp_path / "data"),
        "SAGELOCAL_PORT": str(port),
        "SAGELOCAL_RUNTIME": "process",
        "SAGELOCAL_CONTAINERS_DIR": str(IMAGES),
    }
    subprocess.run([SAGELOCAL, "up"], env=environment, check=True, capture_output=True)
    yield environment
    subprocess.run([SAGELOCAL, "down"], env=environment, check=True, capture_output=True)


def test_the_sdk_sees_the_interruption_through_and_prints_what_was_saved(
    environment: dict[str, str], clients_python: Path
) -> None:
    def sagelocal(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SAGELOCAL, *arguments], env=environment, capture_output=True, text=True
        )

    with subprocess.Popen(
        [SAGELOCAL, "exec", "--", clients_python, "-W", "ignore", "-c", TRAIN, SCRIPT],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as training:
        deadline = time.monotonic() + 240
        while "waiting" not in sagelocal("logs", "spot").stdout:
            assert time.monotonic() < deadline
            assert training.poll() is None
            time.sleep(0.2)
        done = sagelocal("interrupt", "spot")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("spot is being interrupted; ")
        printed, _ = training.communicate(timeout=240)

    assert training.returncode == 0, printed
    assert "resumed from epoch 5" in printed
    assert re.search(r"Interrupted|interrupted", printed)
    assert re.search(r"Managed Spot Training savings: [1-9][0-9]\.[0-9]%", printed), printed


def test_interrupt_says_what_it_cannot_do(environment: dict[str, str]) -> None:
    def interrupt(*arguments: str, **changes: str) -> str:
        done = subprocess.run(
            [SAGELOCAL, "interrupt", *arguments],
            env={**environment, **changes},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1
        return done.stderr

    assert "no training job named 'nobody'" in interrupt("nobody", "--region", "eu-west-1")
    assert "start it with `sagelocal up`" in interrupt("job", SAGELOCAL_DATA="/nonexistent")

"""What every test may ask for: the environments of the real clients and of mxnet."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start, also where a shell runs these in the background.

    Such a shell has SIGINT ignored, and children inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interpreter(variable: str, target: str) -> Path:
    python = os.environ.get(variable)
    if not python or not Path(python).exists():
        pytest.fail(
            f"{variable} does not name a Python interpreter ({python!r}); run `make {target}`"
        )
    return Path(python)


@pytest.fixture(scope="session")
def clients_python() -> Path:
    """A Python that has the unmodified SageMaker SDK 2.x, boto3 and the AWS CLI."""
    return _interpreter("SAGELOCAL_TEST_CLIENTS", "clients")


@pytest.fixture(scope="session")
def mxnet_python() -> Path:
    """A Python that has mxnet 1.9.1: the oracle for artifacts."""
    return _interpreter("SAGELOCAL_TEST_MXNET", "mxnet")

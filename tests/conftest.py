"""What every test may ask for: the environments of the real clients and of mxnet."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How fast examples are made and run says nothing on a busy machine; CI tries the same ones again.
settings.register_profile(
    "any-speed",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any-speed")


def pytest_configure() -> None:
    """Let Ctrl-C reach what the tests start, also where a shell runs these in the background.

    Such a shell has SIGINT ignored, and children inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """Undo what a test's own program did to logging: the next test may read its output."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


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
def sdk3_python() -> Path:
    """A Python that has the unmodified SageMaker SDK 3.x."""
    return _interpreter("SAGELOCAL_TEST_SDK3", "sdk3")


@pytest.fixture(scope="session")
def mxnet_python() -> Path:
    """A Python that has mxnet 1.9.1: the oracle for artifacts."""
    return _interpreter("SAGELOCAL_TEST_MXNET", "mxnet")


@pytest.fixture(scope="session")
def schemas_python() -> Path:
    """A Python that has the schemas of Kubernetes and of KServe."""
    return _interpreter("SAGELOCAL_TEST_SCHEMAS", "schemas")

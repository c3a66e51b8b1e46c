"""MXNet's parameter servers, for scripts that call `mx.kv.create("dist_sync")`.

Every host runs one server and one worker (the script); the first host runs the scheduler too. The
processes find each other by the DMLC_* variables (MXNet documentation, "Distributed Training in
MXNet"). The estimator's `distribution={"parameter_server": {"enabled": True}}` asks for them.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sagelocal_train import Environment, hosts

logger = logging.getLogger(__name__)

SWITCH = "sagemaker_parameter_server_enabled"
PORT_PARAMETER = "_ps_port"
VERBOSITY_PARAMETER = "_ps_verbose"
DEFAULT_PORT = 8000

_ROLE_PROGRAM = "import mxnet"
"""Importing mxnet is all: a process whose role is not `worker` serves until the job is done."""

_END_SECONDS = 5.0


def is_wanted(environment: Environment) -> bool:
    """Whether the job asks for parameter servers."""
    return bool(environment.framework_parameters.get(SWITCH))


@contextmanager
def running(environment: Environment) -> Iterator[dict[str, str]]:
    """Run this host's server (and scheduler); gives the variables of the worker.

    Raises PlatformError when a host of the job has no address.
    """
    hosts.wait_until_resolvable(environment.hosts)
    with ExitStack() as started:
        if environment.current_host == environment.hosts[0]:
            started.enter_context(_process("scheduler", environment))
        started.enter_context(_process("server", environment))
        yield variables("worker", environment)


def variables(role: str, environment: Environment) -> dict[str, str]:
    """What a process of one role needs to find the others."""
    count = str(len(environment.hosts))
    parameters = environment.hyperparameters
    return {
        "DMLC_ROLE": role,
        "DMLC_NUM_WORKER": count,
        "DMLC_NUM_SERVER": count,
        "DMLC_PS_ROOT_URI": socket.gethostbyname(environment.hosts[0]),
        "DMLC_PS_ROOT_PORT": str(parameters.get(PORT_PARAMETER, DEFAULT_PORT)),
        "PS_VERBOSE": str(parameters.get(VERBOSITY_PARAMETER, 0)),
    }


@contextmanager
def _process(role: str, environment: Environment) -> Iterator[None]:
    """One helper process. It ends by itself with the job; what is left is terminated."""
    process = subprocess.Popen(
        [sys.executable, "-c", _ROLE_PROGRAM], env=dict(os.environ) | variables(role, environment)
    )
    logger.info("Started MXNet's %s as process %d", role, process.pid)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

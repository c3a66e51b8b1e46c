"""TensorFlow on several hosts: what TF_CONFIG says, and the parameter server beside a script.

The clusters are those of SageMaker's TensorFlow containers: for the multi-worker mirrored strategy
every host is a worker at port 8890; with parameter servers the first host is the master and the
others are workers at port 2222, and each host runs a server at 2223 as well.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sagelocal_train import hosts
from sagelocal_train.environment import Environment

logger = logging.getLogger(__name__)

VARIABLE = "TF_CONFIG"
MIRRORED_PORT, WORKER_PORT, SERVER_PORT = 8890, 2222, 2223

# Without a GPU: the worker beside it wants all of its memory.
_SERVER_PROGRAM = """
import json, os
import tensorflow as tf
said = json.loads(os.environ["TF_CONFIG"])
cluster = tf.train.ClusterSpec(said["cluster"])
tf.distribute.Server(cluster, job_name="ps", task_index=said["task"]["index"]).join()
"""
_NO_GPU = {"CUDA_VISIBLE_DEVICES": "-1"}
_END_SECONDS = 5.0


def mirrored(environment: Environment) -> dict[str, str]:
    """TF_CONFIG for tf.distribute.MultiWorkerMirroredStrategy."""
    workers = environment.distribution_hosts
    task = {"type": "worker", "index": workers.index(environment.current_host)}
    return _variable({"worker": _addresses(workers, MIRRORED_PORT)}, task)


def with_servers(environment: Environment, *, server: bool = False) -> dict[str, str]:
    """TF_CONFIG of a host's script, or of the parameter `server` beside it."""
    all_hosts = environment.distribution_hosts
    index = all_hosts.index(environment.current_host)
    cluster = {
        "master": _addresses(all_hosts[:1], WORKER_PORT),
        "worker": _addresses(all_hosts[1:], WORKER_PORT),
        "ps": _addresses(all_hosts, SERVER_PORT),
    }
    if server:
        return _variable(cluster, {"type": "ps", "index": index})
    if index == 0:
        return _variable(cluster, {"type": "master", "index": 0})
    return _variable(cluster, {"type": "worker", "index": index - 1})


@contextmanager
def parameter_server(environment: Environment, variables: Mapping[str, str]) -> Iterator[None]:
    """Run this host's server beside what is done within, which may be an error.

    The master begins when all servers answer. The others start theirs once the master's is there,
    so that it cannot have ended before they saw it, and stay, without an error, until it is gone:
    theirs hold a part of the model. Raises PlatformError for a server that never answers.
    """
    if not environment.is_master:
        hosts.wait_until_it_listens(environment.master_host, SERVER_PORT)
    own = dict(variables) | with_servers(environment, server=True) | _NO_GPU
    process = subprocess.Popen([sys.executable, "-c", _SERVER_PROGRAM], env=own)
    logger.info("Started TensorFlow's parameter server as process %d", process.pid)
    try:
        awaited = environment.distribution_hosts
        for host in awaited if environment.is_master else (environment.current_host,):
            hosts.wait_until_it_listens(host, SERVER_PORT, lambda: process.poll() is None)
        yield
        if not environment.is_master:
            hosts.wait_until_it_is_gone(environment.master_host, SERVER_PORT)
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _addresses(names: Sequence[str], port: int) -> list[str]:
    return [f"{name}:{port}" for name in names]


def _variable(cluster: Mapping[str, Sequence[str]], task: Mapping[str, Any]) -> dict[str, str]:
    said = {"cluster": cluster, "environment": "cloud", "task": task}
    return {VARIABLE: json.dumps(said)}

"""TensorFlow on several hosts: what TF_CONFIG says, and the parameter server beside a script.

The clusters are those of SageMaker's TensorFlow containers: for the multi-worker mirrored strategy
every host is a worker at port 8890; with parameter servers the first host is the master and the
others are workers at port 2222, and each host runs a server at 2223 as well.

TensorFlow listens at all of a machine's addresses. Hosts that are processes of one machine share
its ports, so each has others there, which follow from its address: hosts of two jobs seldom meet.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import socket
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

# Where hosts share ports: as many as there are below those that the kernel gives away.
_SHARED_PORTS = range(10000, 32000)
_PLACES = (MIRRORED_PORT, WORKER_PORT, SERVER_PORT)

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


def ports(names: Sequence[str], port: int) -> dict[str, int]:
    """Where each host has what is at `port` in the cloud."""
    numbers = {name: number for name in names if (number := _number_of(name)) is not None}
    if len(set(numbers.values())) < max(len(names), 2):
        return dict.fromkeys(names, port)
    place = _PLACES.index(port)
    return {
        name: _SHARED_PORTS[(number * len(_PLACES) + place) % len(_SHARED_PORTS)]
        for name, number in numbers.items()
    }


def _number_of(name: str) -> int | None:
    """A host's loopback address as a number; None if it has an address of another kind, or none."""
    try:
        address = ipaddress.ip_address(socket.gethostbyname(name))
    except OSError:
        return None
    return int(address) if address.is_loopback else None


def mirrored(environment: Environment) -> dict[str, str]:
    """TF_CONFIG for tf.distribute.MultiWorkerMirroredStrategy."""
    workers = environment.distribution_hosts
    task = {"type": "worker", "index": workers.index(environment.current_host)}
    addresses = [f"{host}:{port}" for host, port in ports(workers, MIRRORED_PORT).items()]
    return _variable({"worker": addresses}, task)


def with_servers(environment: Environment, *, server: bool = False) -> dict[str, str]:
    """TF_CONFIG of a host's script, or of the parameter `server` beside it."""
    all_hosts = environment.distribution_hosts
    index = all_hosts.index(environment.current_host)

    def addresses(port: int) -> list[str]:
        return [f"{host}:{own}" for host, own in ports(all_hosts, port).items()]

    cluster = {
        "master": addresses(WORKER_PORT)[:1],
        "worker": addresses(WORKER_PORT)[1:],
        "ps": addresses(SERVER_PORT),
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
    awaited = environment.distribution_hosts
    at = ports(awaited, SERVER_PORT)
    masters = at[environment.master_host]
    if not environment.is_master:
        hosts.wait_until_it_listens(environment.master_host, masters)
    own = dict(variables) | with_servers(environment, server=True) | _NO_GPU
    process = subprocess.Popen([sys.executable, "-c", _SERVER_PROGRAM], env=own)
    logger.info("Started TensorFlow's parameter server as process %d", process.pid)
    try:
        for host in awaited if environment.is_master else (environment.current_host,):
            hosts.wait_until_it_listens(host, at[host], lambda: process.poll() is None)
        yield
        if not environment.is_master:
            hosts.wait_until_it_is_gone(environment.master_host, masters)
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _variable(cluster: Mapping[str, Sequence[str]], task: Mapping[str, Any]) -> dict[str, str]:
    said = {"cluster": cluster, "environment": "cloud", "task": task}
    return {VARIABLE: json.dumps(said)}

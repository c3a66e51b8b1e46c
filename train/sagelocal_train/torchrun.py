"""PyTorch's launcher: the command line of each host, and where its processes meet.

As in SageMaker's PyTorch containers the first host is the master, at port 7777, and scripts find it
in MASTER_ADDR and MASTER_PORT also where they start their processes themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

from sagelocal_train.entry_point import Kind
from sagelocal_train.environment import Environment
from sagelocal_train.errors import ScriptError
from sagelocal_train.launchers import processes_per_host

MASTER_PORT = "7777"


def variables(environment: Environment) -> dict[str, str]:
    """What a script's process needs for torch.distributed with `env://`, NCCL and Gloo."""
    interface = environment.resources.network_interface
    return {
        "MASTER_ADDR": environment.master_host,
        "MASTER_PORT": MASTER_PORT,
        "NCCL_SOCKET_IFNAME": interface,
        "GLOO_SOCKET_IFNAME": interface,
        # There is no InfiniBand between SageMaker's hosts, and looking for it takes time.
        "NCCL_IB_DISABLE": "1",
    }


def command(environment: Environment, kind: Kind, name: str, arguments: Sequence[str]) -> list[str]:
    """torchrun's command line on this host. Raises ScriptError for what it cannot run."""
    if kind is not Kind.PROGRAM:
        raise ScriptError(
            f"The entry point {name!r} is {kind.value}, and torchrun runs Python programs only: "
            "name a file that ends with .py as entry point, without a setup.py beside it"
        )
    hosts = environment.distribution_hosts
    options = [
        "--nnodes",
        str(len(hosts)),
        "--nproc_per_node",
        str(processes_per_host(environment)),
    ]
    if len(hosts) > 1:
        rank = hosts.index(environment.current_host)
        options += ["--master_addr", environment.master_host, "--master_port", MASTER_PORT]
        options += ["--node_rank", str(rank)]
    return ["torchrun", *options, name, *arguments]

"""Training in the MXNet image: the user's script, with the processes and threads it expects.

MXNet computes with OpenMP and takes about one core unless it is told otherwise, so the script gets
as many threads as the container has processors; a user's own OMP_NUM_THREADS wins.
"""

from __future__ import annotations

import logging

from sagelocal_train import Environment, script

from sagelocal_mxnet import parameter_server

logger = logging.getLogger(__name__)


def main(environment: Environment) -> None:
    """Run the job's script; on several hosts with MXNet's parameter servers where asked for."""
    variables = {"OMP_NUM_THREADS": str(environment.num_cpus)}
    if not parameter_server.is_wanted(environment):
        script.run(environment, variables)
        return
    with parameter_server.running(environment) as addresses:
        script.run(environment, variables | addresses, launchers={parameter_server.SWITCH})

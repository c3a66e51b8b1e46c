"""Training in the PyTorch image: the user's script, with the addresses and threads it expects.

As in SageMaker's PyTorch containers, MASTER_ADDR and MASTER_PORT are there whether or not the
estimator's `distribution` asks for torchrun: scripts call `init_process_group` themselves. OpenMP
counts the machine's processors and not those that the container may use, so the script is told
their number; a user's own OMP_NUM_THREADS wins.
"""

from __future__ import annotations

from sagelocal_train import Environment, script, torchrun


def main(environment: Environment) -> None:
    """Run the job's script."""
    threads = {"OMP_NUM_THREADS": str(environment.num_cpus)}
    script.run(environment, torchrun.variables(environment) | threads)

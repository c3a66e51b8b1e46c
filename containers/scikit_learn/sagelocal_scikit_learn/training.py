"""Training in the scikit-learn image: the user's script.

OpenMP counts the machine's processors and not those that the container may use, so the script is
told their number; a user's own OMP_NUM_THREADS wins.
"""

from __future__ import annotations

from sagelocal_train import Environment, script


def main(environment: Environment) -> None:
    """Run the job's script."""
    script.run(environment, {"OMP_NUM_THREADS": str(environment.num_cpus)})

"""Which launcher a job asks for, and whether this image has it.

An estimator's `distribution` reaches the container as `sagemaker_*` hyperparameters. Two launchers
are here, for images that bring the programs: torchrun (`torchrun`) and MPI (`mpi`). What a
framework image starts itself (parameter servers, for one) it names when it calls `script.run`.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection

from sagelocal_train.environment import LAUNCHER_PARAMETERS, Environment
from sagelocal_train.errors import ScriptError

MPI = "sagemaker_mpi_enabled"
TORCHRUN = "sagemaker_torch_distributed_enabled"

_PROGRAMS: dict[str, tuple[str, ...]] = {MPI: ("mpirun",), TORCHRUN: ("torchrun",)}
# Between hosts mpirun starts its processes over SSH.
_PROGRAMS_OF_SEVERAL_HOSTS: dict[str, tuple[str, ...]] = {MPI: ("ssh", "sshd")}
_SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/sbin")


def wanted(environment: Environment, seen_to: Collection[str] = ()) -> str | None:
    """The launcher that the script runs under on this host, None for the script alone.

    A host outside the distribution's instance groups runs the script alone. Raises ScriptError for
    a launcher that is not here: the script would run on each host alone, and look as if all were
    well.
    """
    asked = [
        name
        for name in LAUNCHER_PARAMETERS
        if environment.framework_parameters.get(name) and name not in seen_to
    ]
    for name in asked:
        _require(name, several_hosts=len(environment.distribution_hosts) > 1)
    if not asked or environment.current_host not in environment.distribution_hosts:
        return None
    return asked[0]


def processes_per_host(environment: Environment) -> int:
    """One for each GPU, or else each Neuron core; one where there is neither."""
    return environment.num_gpus or environment.num_neurons or 1


def find_program(name: str) -> str | None:
    """Its path; system programs are found where PATH leaves their folders out."""
    return shutil.which(name) or shutil.which(name, path=":".join(_SYSTEM_FOLDERS))


def _require(name: str, several_hosts: bool) -> None:
    programs = _PROGRAMS.get(name, ())
    if several_hosts:
        programs += _PROGRAMS_OF_SEVERAL_HOSTS.get(name, ())
    missing = [program for program in programs if find_program(program) is None]
    if programs and not missing:
        return
    why = f" (there is no {' and no '.join(missing)})" if missing else ""
    raise ScriptError(
        f"{name} asks for a distributed launcher that this image does not have{why}; "
        "unset the estimator's `distribution`, or start the processes in the script itself"
    )

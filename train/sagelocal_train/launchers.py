"""Which launcher a job asks for, and whether this image has it.

An estimator's `distribution` reaches the container as `sagemaker_*` hyperparameters. These are
here, for images that bring what they need: torchrun (`torchrun`), under which PyTorch DDP runs as
well, MPI (`mpi`), and TensorFlow's clusters (`tf_cluster`). What a framework image starts itself
(MXNet's parameter servers, for one) it names when it calls `script.run`.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Collection

from sagelocal_train.environment import LAUNCHER_PARAMETERS, Environment
from sagelocal_train.errors import ScriptError

MPI = "sagemaker_mpi_enabled"
TORCHRUN = "sagemaker_torch_distributed_enabled"
PYTORCH_DDP = "sagemaker_pytorch_ddp_enabled"
MIRRORED = "sagemaker_multi_worker_mirrored_strategy_enabled"
PARAMETER_SERVER = "sagemaker_parameter_server_enabled"
SMDDP = "sagemaker_distributed_dataparallel_enabled"

_PROGRAMS: dict[str, tuple[str, ...]] = {
    MPI: ("mpirun",),
    TORCHRUN: ("torchrun",),
    PYTORCH_DDP: ("torchrun",),
    MIRRORED: (),
    PARAMETER_SERVER: (),
}
_MODULES = {PARAMETER_SERVER: "tensorflow"}
_NEXT_STEPS = {
    SMDDP: "SageMaker's data parallel library is in the GPU images of AWS alone; with PyTorch, use "
    'distribution={"torch_distributed": {"enabled": True}} and the backend nccl or gloo',
}
_NEXT_STEP = "unset the estimator's `distribution`, or start the processes in the script itself"
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
    several = len(environment.distribution_hosts) > 1
    for name in asked:
        _require(name, several)
    if not asked or environment.current_host not in environment.distribution_hosts:
        return None
    # As in SageMaker's TensorFlow containers, one host needs no servers.
    return asked[0] if several or asked[0] != PARAMETER_SERVER else None


def processes_per_host(environment: Environment) -> int:
    """One for each GPU, or else each Neuron core; one where there is neither."""
    return environment.num_gpus or environment.num_neurons or 1


def find_program(name: str) -> str | None:
    """Its path; system programs are found where PATH leaves their folders out."""
    return shutil.which(name) or shutil.which(name, path=":".join(_SYSTEM_FOLDERS))


def _require(name: str, several_hosts: bool) -> None:
    if name in _PROGRAMS:
        missing = _missing(name, several_hosts)
        if not missing:
            return
        why = f" (there is no {' and no '.join(missing)})"
    else:
        why = ""
    raise ScriptError(
        f"{name} asks for a distributed launcher that this image does not have{why}; "
        + _NEXT_STEPS.get(name, _NEXT_STEP)
    )


def _missing(name: str, several_hosts: bool) -> list[str]:
    programs = _PROGRAMS[name]
    if several_hosts:
        programs += _PROGRAMS_OF_SEVERAL_HOSTS.get(name, ())
    missing = [program for program in programs if find_program(program) is None]
    module = _MODULES.get(name) if several_hosts else None
    if module and importlib.util.find_spec(module) is None:
        missing.append(module)
    return missing

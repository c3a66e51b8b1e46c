"""Script mode: run the user's own training script as SageMaker's framework containers do.

    source -> code folder -> requirements -> hosts -> the script, in its own process or a launcher's

The script finds the job in SM_* variables and its hyperparameters in its arguments. Its process
has the code folder as working directory and first on PYTHONPATH, and this toolkit's process never
has, so that a user's `train.py`, `serve.py` or `logging.py` meets nothing of ours.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from sagelocal_train import (
    debugger,
    entry_point,
    error_text,
    hosts,
    mpi,
    process,
    source,
    tf_cluster,
    torchrun,
)
from sagelocal_train import launchers as _launchers
from sagelocal_train.entry_point import Kind
from sagelocal_train.environment import Environment
from sagelocal_train.errors import CommandFailed, ScriptError

logger = logging.getLogger(__name__)

_UNDER_TORCHRUN = (_launchers.TORCHRUN, _launchers.PYTORCH_DDP)
_SEVERAL_PROCESSES = (*_UNDER_TORCHRUN, _launchers.MPI)
# What the log of SageMaker's TensorFlow containers says; AWS's own tests of jobs look for it.
_CLUSTERS = {
    _launchers.MIRRORED: "multi_worker_mirrored_strategy setup",
    _launchers.PARAMETER_SERVER: "parameter servers",
}
_OUT_OF_MEMORY = "OutOfMemory: Process killed by SIGKILL (signal 9)"


def run(
    environment: Environment,
    extra_variables: Mapping[str, str] | None = None,
    launchers: Collection[str] = (),
) -> None:
    """Run the user's script to its end.

    `extra_variables` are what a framework adds (thread counts, addresses); the user's own settings
    win over them. `launchers` are those of LAUNCHER_PARAMETERS that the framework has seen to;
    torchrun, MPI and TensorFlow's clusters are seen to here where the image has what they need.
    Raises ScriptError when there is nothing to run, CommandFailed when the script
    fails, and process.Stopped when this process was told to stop.
    """
    name = _entry_point(environment)
    launcher = _launchers.wanted(environment, launchers)
    code = environment.paths.code
    extra = dict(extra_variables or {})
    of_launcher = _launchers_variables(environment, launcher)
    extra = of_launcher | extra
    variables = _variables(environment, extra)
    if launcher in _SEVERAL_PROCESSES and debugger.is_wanted(variables):
        raise ScriptError(
            f"A debugger attaches to one process, and {launcher} starts several; unset "
            f"{debugger.PORT_VARIABLE} or the estimator's `distribution`"
        )
    source.bring(environment.submit_directory, code, variables)
    kind = entry_point.kind_of(name, code)
    entry_point.prepare(kind, name, code, variables, environment.paths.base)
    if len(environment.hosts) > 1 and variables.get("SM_STUDIO_LOCAL_MODE") != "true":
        hosts.wait_until_resolvable(environment.hosts)
    if launcher == _launchers.MPI:
        _run_under_mpi(environment, kind, name, variables)
        return
    arguments = environment.user_arguments()
    if launcher in _UNDER_TORCHRUN:
        command = torchrun.command(environment, kind, name, arguments)
    else:
        command = entry_point.command(kind, name, arguments, variables)
    if launcher in _CLUSTERS:
        logger.info("Running distributed training job with %s", _CLUSTERS[launcher])
    _announce(environment, command, {name: variables[name] for name in of_launcher})
    with _beside(environment, launcher, variables):
        _raise_if_failed(_run(command, environment, variables), command)


def _launchers_variables(environment: Environment, launcher: str | None) -> dict[str, str]:
    """What the script's process finds the others by."""
    if launcher in _UNDER_TORCHRUN:
        return torchrun.variables(environment)
    if launcher == _launchers.MIRRORED:
        return tf_cluster.mirrored(environment)
    if launcher == _launchers.PARAMETER_SERVER:
        return tf_cluster.with_servers(environment)
    return {}


def _beside(
    environment: Environment, launcher: str | None, variables: Mapping[str, str]
) -> AbstractContextManager[None]:
    """What runs on this host as long as the script does."""
    if launcher == _launchers.PARAMETER_SERVER:
        return tf_cluster.parameter_server(environment, variables)
    return nullcontext()


def _run_under_mpi(
    environment: Environment, kind: Kind, name: str, variables: Mapping[str, str]
) -> None:
    """The master runs mpirun; that one failed is the master's to say, and no worker's."""
    if not environment.is_master:
        mpi.serve_as_worker(environment)
        return
    script = mpi.script_command(kind, name, environment.user_arguments(), mpi.has_mpi4py())
    command = mpi.command(environment, script, variables)
    _announce(environment, command, {})
    with mpi.master(environment) as tell_workers:
        ended = _run(
            command,
            environment,
            mpi.launcher_variables(variables),
            rewrite=mpi.name_hosts(environment),
        )
        tell_workers(ended.exit_code)
    said = replace(ended, standard_error=mpi.untangle(ended.standard_error))
    _raise_if_failed(said, command)


def _entry_point(environment: Environment) -> str:
    if environment.entry_point is None:
        raise ScriptError(
            "There is no training code to run: name a file of the source in SAGEMAKER_PROGRAM or "
            "the hyperparameter sagemaker_program, or the image's own function in "
            "SAGEMAKER_TRAINING_MODULE (PACKAGE.MODULE:FUNCTION)"
        )
    return environment.entry_point


def _variables(environment: Environment, extra: Mapping[str, str]) -> dict[str, str]:
    """The variables of the script's process. A name or value that no process can have is left out:
    its hyperparameter still is in SM_HPS."""
    given = {**environment.other_variables(), **extra, **os.environ}
    merged = {**given, **environment.to_env_vars(), "PYTHONUNBUFFERED": "1"}
    if environment.region:
        merged.setdefault("AWS_REGION", environment.region)
    path = [str(environment.paths.code), os.environ.get("PYTHONPATH", "")]
    merged["PYTHONPATH"] = os.pathsep.join(part for part in path if part)
    return {
        name: value
        for name, value in merged.items()
        if "=" not in name and "\0" not in name and "\0" not in value
    }


def _announce(
    environment: Environment, command: Sequence[str], of_launcher: Mapping[str, str]
) -> None:
    variables = {**environment.to_env_vars(), **of_launcher}
    summary = json.dumps(environment.as_dict(), indent=4, sort_keys=True)
    shown = "\n".join(f"{name}={value}" for name, value in sorted(variables.items()))
    logger.info(
        "Invoking user script\n\nTraining Env:\n\n%s\n\nEnvironment variables:\n\n%s\n\n"
        "Invoking script with the following command:\n\n%s\n\n",
        summary,
        shown,
        shlex.join(command),
    )


def _run(
    command: Sequence[str],
    environment: Environment,
    variables: Mapping[str, str],
    rewrite: Callable[[bytes], bytes] | None = None,
) -> process.Ended:
    try:
        return process.run(command, environment.paths.code, variables, rewrite)
    except OSError as error:
        raise ScriptError(f"{shlex.join(command)} cannot be started: {error}") from error


def _raise_if_failed(ended: process.Ended, command: Sequence[str]) -> None:
    if ended.exit_code == 0:
        return
    if ended.stopped:
        logger.info("The script was stopped and ended with exit code %d", ended.exit_code)
        raise process.Stopped(ended.exit_code)
    raise _failure(ended, command)


def _failure(ended: process.Ended, command: Sequence[str]) -> CommandFailed:
    message = error_text.error_message(ended.standard_error)
    extra = ""
    if ended.signal is not None:
        name = ended.signal.name
        extra = _OUT_OF_MEMORY if name == "SIGKILL" else f"Process killed by {name}"
    elif not message:
        message = "the script wrote nothing to standard error; see its log"
    return CommandFailed(
        "ExecuteUserScriptError", ended.exit_code, message, shlex.join(command), extra
    )

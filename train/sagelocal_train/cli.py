"""The console script `train`: what `docker run IMAGE train` starts.

SAGEMAKER_TRAINING_MODULE names the image's own function as PACKAGE.MODULE:FUNCTION; it is called
with the `Environment` (or with nothing, if it takes nothing). Without it the user's script runs
(`script`). However that ends, the failure or success file and the exit code say so.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from sagelocal_train import log_lines, outcome, process, script
from sagelocal_train.environment import MODULE_VARIABLE, Environment
from sagelocal_train.errors import UserError
from sagelocal_train.paths import Paths

logger = logging.getLogger(__name__)

USAGE = """\
usage: train

Runs the training job that lies at /opt/ml (or SAGEMAKER_BASE_DIR): the function named by
SAGEMAKER_TRAINING_MODULE, or else the script named by SAGEMAKER_PROGRAM or sagemaker_program."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job and return the container's exit code.

    `arguments` (default: those of the process) may be empty or `train`, which is how an image with
    this script as its ENTRYPOINT gets it.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    log_lines.configure()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    paths = Paths.of(os.environ)
    try:
        logger.info("Docker entrypoint called with argument(s): %s", " ".join(given) or "train")
        outcome.begin(paths)
        if given not in ([], ["train"]):
            raise UserError(f"train takes no arguments, but was called with {given!r}")
        _train(Environment.read())
    except SystemExit as ending:
        return _ended_early(paths, ending)
    except Exception as error:
        return outcome.fail(paths, error)
    return outcome.succeed(paths)


def _train(environment: Environment) -> None:
    if environment.framework_module is None:
        script.run(environment)
        return
    function = load(environment.framework_module)
    if takes_an_argument(function):
        function(environment)
    else:
        function()


def load(reference: str) -> Callable[..., Any]:
    """The function that `package.module:function` names; `main` where no function is named.

    Raises UserError when the module or function is not there, and lets an error inside the
    module's own imports through.
    """
    module_name, _, function_name = reference.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise UserError(
            f"{MODULE_VARIABLE} is {reference!r}, but there is no module {error.name!r} in this "
            "image: install it, or set PYTHONPATH"
        ) from error
    function: object = getattr(module, function_name or "main", None)
    if not callable(function):
        raise UserError(
            f"{MODULE_VARIABLE} is {reference!r}, but {module_name} has no function "
            f"{function_name or 'main'!r}"
        )
    return function


def takes_an_argument(function: Callable[..., Any]) -> bool:
    """Whether `function` can be called with one positional argument."""
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        return True
    return True


def _stop(number: int, frame: FrameType | None) -> None:
    """Leave by an exception on SIGTERM or Ctrl-C, so that an algorithm's `finally` blocks run."""
    logger.info("Stopped by %s", signal.Signals(number).name)
    raise process.Stopped(128 + number)


def _ended_early(paths: Paths, ending: SystemExit) -> int:
    """The exit code for an algorithm that left by sys.exit, or for a stopped job."""
    if ending.code is None or ending.code == 0:
        return outcome.succeed(paths)
    code = ending.code if isinstance(ending.code, int) else 1
    if not isinstance(ending, process.Stopped):
        said = f"the training code called sys.exit({ending.code!r})"
        outcome.write_failure(paths, str(ending.code) if isinstance(ending.code, str) else said)
    return code


if __name__ == "__main__":
    sys.exit(main())

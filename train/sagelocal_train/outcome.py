"""How a training job ends: the failure or success file, and the exit code of the container.

Exit code 0 makes a job Completed, everything else makes it Failed with the first 1,024 characters
of /opt/ml/output/failure as its reason (developer guide, "How Amazon SageMaker Signals Algorithm
Success and Failure"). A failure file that the user's code wrote is never overwritten, and a failed
job never leaves an empty one.
"""

from __future__ import annotations

import errno
import logging
import traceback

from sagelocal_train.errors import FAILURE_REASON_CHARACTERS, PlatformError, TrainingError
from sagelocal_train.paths import Paths

logger = logging.getLogger(__name__)

_TRACEBACK_LINES = 12
"""Lines of a traceback that are worth a place in the failure file: the last calls."""

_MACHINE_ERRNOS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
)


def begin(paths: Paths) -> None:
    """Make the folders that training code may write to, and forget how an earlier run ended.

    A container of the platform's finds the folders, and no outcome; one started by hand may not.
    """
    try:
        for folder in (paths.model, paths.output_data):
            folder.mkdir(parents=True, exist_ok=True)
        paths.success.unlink(missing_ok=True)
        paths.failure.unlink(missing_ok=True)
    except OSError as error:
        raise PlatformError(f"{paths.base} cannot be written: {error}") from error


def succeed(paths: Paths) -> int:
    """Mark success and return the exit code 0."""
    paths.output.mkdir(parents=True, exist_ok=True)
    paths.success.touch()
    return 0


def fail(paths: Paths, error: BaseException) -> int:
    """Log `error`, write the failure file unless there is one, and return the exit code."""
    if isinstance(error, TrainingError):
        logger.error("%s", error.failure_text)
    else:
        logger.error("Training failed", exc_info=error)
    write_failure(paths, failure_text(error))
    return exit_code(error)


def exit_code(error: BaseException) -> int:
    """2 for what the user can mend in a built-in algorithm, 1 for the rest (never 0)."""
    return error.exit_code if isinstance(error, TrainingError) else 1


def failure_text(error: BaseException) -> str:
    """The failure file's text for any exception: what happened first, then where."""
    if isinstance(error, TrainingError):
        return error.failure_text
    summary = "".join(traceback.format_exception_only(error)).strip()
    if isinstance(error, OSError) and error.errno in _MACHINE_ERRNOS:
        return PlatformError(summary).failure_text
    if isinstance(error, MemoryError):
        summary = f"{summary or 'MemoryError'}: use an instance type with more memory or less data"
    where = "".join(traceback.format_tb(error.__traceback__)).splitlines()[-_TRACEBACK_LINES:]
    return "\n".join([summary, "", *where]).strip()


def write_failure(paths: Paths, text: str) -> None:
    """Write the failure file, unless the user's code wrote a text there already.

    A disk that takes no file must not hide the failure itself: that is logged, and no more.
    """
    try:
        if paths.failure.is_file() and paths.failure.read_bytes().strip():
            logger.info("%s was written by the training code and is kept", paths.failure)
            return
        paths.output.mkdir(parents=True, exist_ok=True)
        paths.failure.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        reason = text[:FAILURE_REASON_CHARACTERS]
        logger.error("%s cannot be written (%s); it would say: %s", paths.failure, error, reason)

"""FailureReason: what DescribeTrainingJob tells of a job that failed.

The words are the service's: `AlgorithmError:` is the container's fault, `ClientError:` the
request's or its data's; at most 1,024 characters (botocore shape FailureReason), of which the
container may say the first part in /opt/ml/output/failure (SageMaker developer guide, "How Amazon
SageMaker Processes Training Output").
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass

from sagelocal.domain.instances import GIB

MAX_FAILURE_REASON = 1024
# How much of a log stands in for a failure file that was not written.
LAST_LINES = 15
# Where a container may say itself why it failed.
FILE = "/opt/ml/output/failure"

_TRACEBACK = "Traceback (most recent call last):"
# How many lines after a traceback's exception may still be its message.
_MESSAGE_LINES = 5

_CLIENT_PREFIXES = ("ClientError:", "CustomerError:", "Customer Error:")
_OUT_OF_MEMORY = (
    "ClientError: Please use an instance type with more memory, or reduce the size of job data "
    "processed on an instance."
)


@dataclass(frozen=True)
class ContainerEnd:
    """How one host's container ended.

    `failure` is the text of its /opt/ml/output/failure, `last_lines` the end of its log;
    `memory_bytes` is what it was given. `one_of_several`: the job had other hosts too, so that the
    reason has to say which one it was.
    """

    host: str
    exit_code: int
    out_of_memory: bool = False
    failure: str = ""
    last_lines: Sequence[str] = ()
    memory_bytes: int | None = None
    one_of_several: bool = False


def container_failed(end: ContainerEnd) -> str:
    """Why a job failed whose container ended with a code that is not 0."""
    which = f", host: {end.host}" if end.one_of_several else ""
    ending = f"{which}, exit code: {end.exit_code}"
    if end.out_of_memory:
        return _fit(_OUT_OF_MEMORY + _given(end), ending)
    text = end.failure.strip()
    for prefix in _CLIENT_PREFIXES:
        if text.startswith(prefix):
            return _fit(f"ClientError: {text.removeprefix(prefix).strip()}", ending)
    text = text.removeprefix("AlgorithmError:").strip()
    said = text or _end_of_log(_from_traceback(end.last_lines)) or _signal(end.exit_code)
    said = said or f"the container of {end.host} said nothing, neither in its log nor in {FILE}"
    return _fit(f"AlgorithmError: {said}", ending)


def client_error(text: str) -> str:
    """Why a job failed that could not be run as it was asked for (image, data, output)."""
    return _fit(f"ClientError: {text}")


def capacity_error(text: str) -> str:
    """Why a job failed for which there is no machine."""
    return _fit(f"CapacityError: Unable to provision requested ML compute capacity. {text}")


def internal_error(text: str) -> str:
    """Why a job failed through no fault of its own."""
    return _fit(
        "InternalServerError: We encountered an internal error. Please try again. "
        f"(sagelocal: {text})"
    )


def _given(end: ContainerEnd) -> str:
    if end.memory_bytes is None:
        return f" ({end.host} was killed for memory)"
    return f" ({end.host} was killed for memory; it had {_size(end.memory_bytes)})"


def _size(size_bytes: int) -> str:
    if size_bytes < GIB:
        return f"{size_bytes // 1024**2} MiB"
    return f"{size_bytes / GIB:.1f} GiB"


def _signal(exit_code: int) -> str:
    """For a container that said nothing at all because it was killed."""
    try:
        name = signal.Signals(exit_code - 128).name
    except ValueError:
        return ""
    return f"the container was ended by {name}"


def _from_traceback(lines: Sequence[str]) -> Sequence[str]:
    """The last Python traceback with its exception, if there is a whole one, else all lines.

    What a program prints while it dies (atexit handlers, other threads) comes after the reason.
    """
    starts = [i for i, line in enumerate(lines) if line.startswith(_TRACEBACK)]
    if not starts:
        return lines
    frames = lines[starts[-1] + 1 :]
    for number, line in enumerate(frames):
        if line.strip() and not line.startswith((" ", "\t")):
            return [lines[starts[-1]], *frames[: number + 1 + _MESSAGE_LINES]]
    return lines


def _end_of_log(lines: Sequence[str]) -> str:
    """The last lines that say something, as many as may fit."""
    kept: list[str] = []
    length = 0
    for line in reversed([line.rstrip() for line in lines if line.strip()][-LAST_LINES:]):
        length += len(line) + 1
        if kept and length > MAX_FAILURE_REASON - 64:
            break
        kept.insert(0, line[-(MAX_FAILURE_REASON - 64) :])
    return "\n".join(kept)


def _fit(text: str, ending: str = "") -> str:
    return text[: MAX_FAILURE_REASON - len(ending)] + ending

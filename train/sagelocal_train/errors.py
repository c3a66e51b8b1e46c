"""Whose fault a failed training job is, and what that means for its failure file and exit code.

    TrainingError
    ├── UserError       the request or the data: hyperparameters, channels, unreadable files
    │   └── ScriptError the user's own script ended with an error
    ├── AlgorithmError  the algorithm could not go on with valid input (divergence, too little data)
    └── PlatformError   the machine: storage, memory, a download that the network refused

SageMaker shows the first 1,024 characters of /opt/ml/output/failure as FailureReason (developer
guide, "How Amazon SageMaker Processes Training Output"), so a text says the important part first:
what happened, with which value, what would have been right, and the next step.
"""

from __future__ import annotations

from typing import ClassVar

FAILURE_REASON_CHARACTERS = 1024
"""What of a failure file reaches the user: the maximum length of FailureReason (botocore)."""


class TrainingError(Exception):
    """A failure with an owner. `str(error)` is the text for people, without a class prefix."""

    prefix: ClassVar[str]
    exit_code: ClassVar[int] = 1

    @property
    def failure_text(self) -> str:
        """The text of the failure file: owner first, in the words that SageMaker shows."""
        return f"{self.prefix}: {self}"


class UserError(TrainingError):
    """The user can mend this: a wrong hyperparameter, a missing channel, a broken file.

    The built-in algorithms end with exit code 2 then, and the platform shows `ClientError:`.
    """

    prefix = "ClientError"
    exit_code = 2


class ScriptError(UserError):
    """The user's script failed; the container ends with 1 whatever the script ended with."""

    prefix = "ExecuteUserScriptError"
    exit_code = 1

    def __init__(self, script_exit_code: int, message: str, command: str, extra: str = "") -> None:
        super().__init__(message)
        self.script_exit_code = script_exit_code
        self.message = message
        self.command = command
        self.extra = extra

    @property
    def failure_text(self) -> str:
        """The training toolkit's layout; the command comes last, as it is what may be cut off."""
        extra = [f'ExtraInfo "{self.extra}"'] if self.extra else []
        lines = [
            f"{self.prefix}:",
            f"ExitCode {self.script_exit_code}",
            f'ErrorMessage "{self.message}"',
            *extra,
            f'Command "{self.command}"',
        ]
        return "\n".join(lines)


class AlgorithmError(TrainingError):
    """The algorithm failed on input that was accepted; the platform shows `AlgorithmError:`."""

    prefix = "AlgorithmError"


class PlatformError(TrainingError):
    """The machine failed: no space, no memory, no network. Trying again may help."""

    prefix = "InternalServerError"

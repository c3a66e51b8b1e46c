"""Whose fault a failed training job is, and what that means for its failure file and exit code.

    TrainingError
    ├── UserError          the request or the data: hyperparameters, channels, unreadable files
    │   └── ScriptError    script mode cannot run the user's code: no entry point, no source
    │       └── CommandFailed    the user's script, or the installation of what it needs, failed
    ├── AlgorithmError     the algorithm could not go on with input that was accepted
    └── PlatformError      the machine: no space, a host or a download that did not answer

SageMaker shows the first 1,024 characters of /opt/ml/output/failure as FailureReason (developer
guide, "How Amazon SageMaker Processes Training Output"), so a text says the important part first:
what happened, with which value, what would have been right, and the next step. A text that starts
with `ClientError:` is shown as it is; the service puts `AlgorithmError:` before any other.
"""

from __future__ import annotations

from typing import ClassVar

FAILURE_REASON_CHARACTERS = 1024
"""What of a failure file reaches the user: the maximum length of FailureReason (botocore)."""


class TrainingError(Exception):
    """A failure with an owner. `str(error)` is the text for people, without a prefix."""

    exit_code: ClassVar[int] = 1

    @property
    def failure_text(self) -> str:
        """The text of the failure file."""
        return str(self)


class UserError(TrainingError):
    """The user can mend this: a wrong hyperparameter, a missing channel, a broken file.

    The built-in algorithms end with exit code 2 then.
    """

    exit_code = 2

    @property
    def failure_text(self) -> str:
        return f"ClientError: {self}"


class ScriptError(UserError):
    """The user's script cannot be run. In script mode all failures end with exit code 1."""

    exit_code = 1


class CommandFailed(ScriptError):
    """A command of script mode ended with an error; `kind` is the training toolkit's name for it.

    `message` is what the command said last, `extra` what is known besides. The container ends with
    1, whatever `command_exit_code` is.
    """

    def __init__(
        self, kind: str, command_exit_code: int, message: str, command: str, extra: str = ""
    ) -> None:
        super().__init__(f"{kind} with exit code {command_exit_code}: {message}")
        self.kind = kind
        self.command_exit_code = command_exit_code
        self.message = message
        self.command = command
        self.extra = extra

    @property
    def failure_text(self) -> str:
        """The training toolkit's layout; the command comes last, as it is what may be cut off."""
        extra = [f'ExtraInfo "{self.extra}"'] if self.extra else []
        lines = [
            f"{self.kind}:",
            f"ExitCode {self.command_exit_code}",
            f'ErrorMessage "{self.message}"',
            *extra,
            f'Command "{self.command}"',
        ]
        return "\n".join(lines)


class AlgorithmError(TrainingError):
    """The algorithm failed on input that was accepted: it diverged, or found nothing to learn."""


class PlatformError(TrainingError):
    """The machine failed: no space, no memory, no network. Trying again may help."""

    @property
    def failure_text(self) -> str:
        return f"PlatformError: {self}"

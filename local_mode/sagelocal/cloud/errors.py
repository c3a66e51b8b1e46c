"""Why something could not be launched, fetched or compared.

CloudError        the text is for the user: what happened, with which value, and the next step
  SpecError       the file says what cannot be: one line per problem
  Refused         the service said no; `code` is its error code
  NotThere        what was named does not exist
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class CloudError(Exception):
    """The text is for the user, with the next step."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a file; `line` counts from 1, None where it cannot be told."""

    line: int | None
    text: str


class SpecError(CloudError):
    """A spec that cannot be used, with everything that is wrong in it."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "\n".join(
                f"{file}:{problem.line}: {problem.text}"
                if problem.line is not None
                else f"{file}: {problem.text}"
                for problem in problems
            )
        )


class Refused(CloudError):
    """The service's refusal."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        super().__init__(text)


class NotThere(Refused):
    """What was named does not exist."""

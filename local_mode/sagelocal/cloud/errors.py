"""What is wrong with a file of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sagelocal.account import CloudError


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

"""The one error of this package: input that does not follow its format.

    FormatError(ValueError)   which input, at which byte, what was found there

Whoever reads bytes that came from somewhere else (a channel, a request, a model archive) catches
this one class and adds whose fault it is.
"""

from __future__ import annotations


class FormatError(ValueError):
    """Bytes that cannot be what they are said to be.

    `source` names the input (a file name, or "<bytes>"), `offset` the byte where reading stopped,
    `problem` what was found there.
    """

    def __init__(self, problem: str, *, source: str, offset: int) -> None:
        super().__init__(f"{source}, byte {offset}: {problem}")
        self.problem = problem
        self.source = source
        self.offset = offset

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (self.problem, self.source, self.offset))


def _rebuild(problem: str, source: str, offset: int) -> FormatError:
    return FormatError(problem, source=source, offset=offset)

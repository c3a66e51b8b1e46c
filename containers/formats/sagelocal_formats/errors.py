"""The one error of this package: input that does not follow its format.

    FormatError(ValueError)   which input, at which byte or line, what was found there

Whoever reads bytes that came from somewhere else (a channel, a request, a model archive) catches
this one class and adds whose fault it is.
"""

from __future__ import annotations


class FormatError(ValueError):
    """Bytes that cannot be what they are said to be.

    `source` names the input (a file name, or "<bytes>"), `offset` the byte or `line` and `column`
    (counted from 1) where reading stopped, `problem` what was found there.
    """

    def __init__(
        self,
        problem: str,
        *,
        source: str,
        offset: int | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        parts = (("byte", offset), ("line", line), ("column", column))
        places = [f"{word} {number}" for word, number in parts if number is not None]
        super().__init__(f"{', '.join([source, *places])}: {problem}")
        self.problem = problem
        self.source = source
        self.offset = offset
        self.line = line
        self.column = column

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (self.problem, self.source, self.offset, self.line, self.column))


def _rebuild(
    problem: str, source: str, offset: int | None, line: int | None, column: int | None
) -> FormatError:
    return FormatError(problem, source=source, offset=offset, line=line, column=column)

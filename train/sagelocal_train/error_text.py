"""What a failed process said last, short enough for a FailureReason and with the cause first.

    ValueError: no rows in train.csv
    Traceback (most recent call last):
      ...
      File "/opt/ml/code/train.py", line 12, in main
        raise ValueError("no rows in train.csv")

The original shows a traceback from its top, or nothing; 1,024 characters then end before the cause.
"""

from __future__ import annotations

import re

MAX_MESSAGE_CHARACTERS = 760
"""Leaves room, within 1,024, for the exit code and the command around the message."""

_MAX_CAUSE_CHARACTERS = 480
_TRACEBACK = "Traceback (most recent call last):"
_SYNTAX_ERROR = re.compile(r"(SyntaxError|IndentationError|TabError): ")


def error_message(standard_error: str) -> str:
    """The last Python error in a process's standard error, or else its last lines."""
    lines = [line.rstrip() for line in standard_error.replace("\r", "\n").splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    block = _last_traceback(lines) or _syntax_error(lines)
    if block is None:
        return _tail(lines, MAX_MESSAGE_CHARACTERS)
    cause, calls = block
    said = "\n".join(cause)[:_MAX_CAUSE_CHARACTERS]
    where = _tail(calls, MAX_MESSAGE_CHARACTERS - len(said) - len(_TRACEBACK) - 2)
    return "\n".join(part for part in (said, _TRACEBACK if where else "", where) if part)


def _last_traceback(lines: list[str]) -> tuple[list[str], list[str]] | None:
    """The error's own lines and the calls that led to it."""
    starts = [number for number, line in enumerate(lines) if line == _TRACEBACK]
    if not starts:
        return None
    calls = lines[starts[-1] + 1 :]
    length = next((n for n, line in enumerate(calls) if line and not line.startswith(" ")), None)
    if length is None:
        return None
    return calls[length:], calls[:length]


def _syntax_error(lines: list[str]) -> tuple[list[str], list[str]] | None:
    """Python shows a main script that it cannot compile without the traceback's first line."""
    for number in range(len(lines) - 1, -1, -1):
        if _SYNTAX_ERROR.match(lines[number]):
            start = number
            while start and lines[start - 1].startswith(" "):
                start -= 1
            return [lines[number]], lines[start:number]
    return None


def _tail(lines: list[str], characters: int) -> str:
    """As many of the last lines as fit; the last line at least, cut if it must be."""
    kept: list[str] = []
    length = 0
    for line in reversed(lines):
        length += len(line) + 1
        if kept and length > characters:
            break
        kept.insert(0, line)
    return "\n".join(kept)[-max(characters, 0) :] if characters > 0 else ""

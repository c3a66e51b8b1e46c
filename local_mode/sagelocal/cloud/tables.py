"""A TOML file read strictly: every value has the kind that is asked for, and no key is left over.

Problems are gathered, so that one reading tells of all of them, each with its line.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sagelocal.cloud.errors import Problem, SpecError

T = TypeVar("T")

_HEADER = re.compile(r"^\s*\[\[?\s*(?P<name>[^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""^\s*(?P<name>("[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(\s*\.\s*[\w"'-]+)*)\s*=""")
_PART = re.compile(r"""\s*("[^"]*"|'[^']*'|[^.]+)\s*""")
_KINDS = {
    bool: "true or false",
    int: "a whole number",
    str: "text in quotes",
    dict: "a table",
    list: "a list",
}
_MISSING = object()

Path = tuple[str, ...]


class Problems:
    """What is wrong in one file, and on which line."""

    def __init__(self, text: str) -> None:
        self._lines = dict(_lines(text))
        self.found: list[Problem] = []

    def add(self, path: Path, text: str) -> None:
        """Say what is wrong with a key; a table that is missing has its parent's line."""
        self.found.append(Problem(self._line(path), text))

    def _line(self, path: Path) -> int | None:
        for end in range(len(path), 0, -1):
            if path[:end] in self._lines:
                return self._lines[path[:end]]
        return None


class Table:
    """One table of the file. Each `take` removes a key; `close` complains about what is left."""

    def __init__(self, values: Mapping[str, Any], path: Path, problems: Problems) -> None:
        self._values = dict(values)
        self._path = path
        self._problems = problems
        self._known: list[str] = []

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def text(self, key: str, default: Any = _MISSING, choices: Sequence[str] = ()) -> Any:
        """A string that is not empty."""
        value = self._take(key, str, default)
        if value == "" and default != "":
            self.wrong(key, "is empty")
        if choices and value not in choices and value is not default and value is not None:
            self.wrong(key, f"is {value!r}; it must be {_either(choices)}{_near(value, choices)}")
        return value

    def number(self, key: str, default: Any = _MISSING, least: int = 1) -> Any:
        """A whole number."""
        value = self._take(key, int, default)
        if isinstance(value, int) and value < least:
            self.wrong(key, f"is {value}; it must be at least {least}")
        return value

    def flag(self, key: str, default: bool) -> Any:
        """true or false."""
        return self._take(key, bool, default)

    def strings(self, key: str) -> dict[str, str]:
        """A table whose values become strings, as SageMaker wants them; see `as_string`."""
        table = self._take(key, dict, {})
        return {name: as_string(value) for name, value in table.items()}

    def table(self, key: str) -> Table:
        """A table inside, empty if it is not there."""
        return Table(self._take(key, dict, {}), (*self._path, key), self._problems)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Every key that is left and its value; they are taken."""
        taken, self._values = self._values, {}
        yield from taken.items()

    def inner(self, key: str, values: Mapping[str, Any]) -> Table:
        """A table that `items` gave."""
        return Table(values, (*self._path, key), self._problems)

    def wrong(self, key: str, text: str) -> None:
        """Say what is wrong with a key of this table."""
        path = (*self._path, key)
        self._problems.add(path, f"{'.'.join(path)} {text}")

    def close(self) -> None:
        """Name the keys that nobody asked for, with the nearest that there is."""
        for key in self._values:
            near = _near(key, self._known)
            hint = near or f" (known here: {', '.join(sorted(self._known))})"
            self.wrong(key, f"is not known{hint}")

    def _take(self, key: str, kind: type, default: Any) -> Any:
        self._known.append(key)
        value = self._values.pop(key, _MISSING)
        if value is _MISSING:
            if default is _MISSING:
                self.wrong(key, f"is missing; it is {_KINDS[kind]}")
                return None
            return default
        # bool is an int in Python, not in TOML.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.wrong(key, f"is {_shown(value)}; it must be {_KINDS[kind]}")
            return None if default is _MISSING else default
        return value


def read(text: str, file: str) -> tuple[Table, Problems]:
    """The file's outermost table. Raises SpecError for what is no TOML."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(found[1]) if found else None
        words = re.sub(r" \(at .*\)$", "", str(error))
        raise SpecError(file, [Problem(line, f"this is not TOML: {words}")]) from error
    problems = Problems(text)
    return Table(document, (), problems), problems


def as_string(value: Any) -> str:
    """A value as a container finds it: text as it is, all else as JSON (`2`, `0.5`, `true`).

    >>> as_string([1, 2])
    '[1, 2]'
    """
    return value if isinstance(value, str) else json.dumps(value, default=str)


def nearest(name: str, known: Sequence[str]) -> str | None:
    """The known name that looks most like this one, if any does."""
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.6)), None)


def _near(name: str, known: Sequence[str]) -> str:
    found = nearest(name, known)
    return f"; did you mean {found}?" if found else ""


def _either(choices: Sequence[str]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"


def _shown(value: Any) -> str:
    return "a table" if isinstance(value, dict) else json.dumps(value, default=str)


def _lines(text: str) -> Iterator[tuple[Path, int]]:
    """Where each key is, the first time it is there. Text of several lines may mislead it."""
    seen: set[Path] = set()
    table: Path = ()
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        key = None if header else _KEY.match(line)
        if header:
            table = _parts(header["name"])
        path = table if header else (*table, *_parts(key["name"])) if key else ()
        for end in range(1, len(path) + 1):
            if path[:end] not in seen:
                seen.add(path[:end])
                yield path[:end], number


def _parts(name: str) -> Path:
    return tuple(part.strip("\"'") for part in _PART.findall(name))

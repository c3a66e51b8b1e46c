"""The part of JSONPath that batch transform's filters are written in.

    $                 everything              $.name, $['name']      a member
    $['a','b']        some members            $.*, $[*]              all of them
    $[2], $[-1]       an element              $[0,3,-1]              some elements
    $[1:], $[2:5]     those from, and before

Source: developer guide, "Associate Prediction Results with Input Records", "Supported JSONPath
Operators".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_NAME = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_STEP = re.compile(
    r"(?P<all>\.\*|\[\s*\*\s*\])"
    r"|\.(?P<member>[^\s.\[\]*'\"()?@]+)"
    rf"|\[\s*(?P<members>(?:{_NAME})(?:\s*,\s*(?:{_NAME}))*)\s*\]"
    r"|\[\s*(?P<indices>-?\d+(?:\s*,\s*-?\d+)*)\s*\]"
    r"|\[\s*(?P<start>-?\d+)?\s*:\s*(?P<end>-?\d+)?\s*\]"
)
_QUOTED = re.compile(_NAME)


class NoMatch(ValueError):
    """A value has nothing where the path points; the text says what and where."""


@dataclass(frozen=True)
class _Step:
    """One of these, as it was written in `text`."""

    text: str
    members: tuple[str, ...] = ()
    indices: tuple[int, ...] = ()
    part: slice | None = None

    def take(self, value: Any) -> tuple[Any, bool]:
        """What it selects, and whether that is several elements, each for the next step."""
        try:
            if self.members:
                if not isinstance(value, dict):
                    raise TypeError
                if len(self.members) == 1:
                    return value[self.members[0]], False
                return {name: value[name] for name in self.members}, False
            if self.part is None and isinstance(value, dict):
                return list(value.values()), True
            if not isinstance(value, list):
                raise TypeError
            if len(self.indices) == 1:
                return value[self.indices[0]], False
            if self.indices:
                return [value[index] for index in self.indices], True
            return value[self.part or slice(None)], True
        except (KeyError, IndexError, TypeError):
            raise NoMatch(f"there is no {self.text} in {_short(value)}") from None


@dataclass(frozen=True)
class JsonPath:
    """A path, which selects from values as `json.loads` gives them."""

    text: str
    steps: tuple[_Step, ...]

    @classmethod
    def parse(cls, text: str) -> JsonPath:
        """Raises ValueError."""
        if not text.startswith("$"):
            raise ValueError(f"the path {text!r} does not begin with $")
        steps, position = [], 1
        while position < len(text):
            found = _STEP.match(text, position)
            if found is None:
                raise ValueError(
                    f"the path {text!r} has {text[position:]!r}, which is none of .name, "
                    "['name','other'], [0,-1], [1:3], [*]"
                )
            steps.append(_step(found))
            position = found.end()
        return cls(text, tuple(steps))

    def select(self, value: Any) -> Any:
        """Raises NoMatch."""
        return _select(value, self.steps)


def _select(value: Any, steps: tuple[_Step, ...]) -> Any:
    if not steps:
        return value
    found, several = steps[0].take(value)
    if several and len(steps) > 1:
        return [_select(each, steps[1:]) for each in found]
    return _select(found, steps[1:])


def _step(found: re.Match[str]) -> _Step:
    text = found.group()
    if found["all"]:
        return _Step(text)
    if found["member"]:
        return _Step(text, members=(found["member"],))
    if found["members"]:
        names = (re.sub(r"\\(.)", r"\1", n[1:-1]) for n in _QUOTED.findall(found["members"]))
        return _Step(text, members=tuple(names))
    if found["indices"]:
        return _Step(text, indices=tuple(int(index) for index in found["indices"].split(",")))
    ends = (int(found[end]) if found[end] else None for end in ("start", "end"))
    return _Step(text, part=slice(*ends))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:97] + "..."

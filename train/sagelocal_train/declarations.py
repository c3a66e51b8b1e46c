"""One declared hyperparameter: which texts it takes, what they mean, how CreateAlgorithm sees it.

`hyperparameters` makes an algorithm's table of these.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

AUTO: Final = "auto"
"""The value of a hyperparameter that the algorithm shall choose itself."""

Auto = Literal["auto"]
Value = int | float | bool | str | None
"""What a declaration makes of a string. None: not given, and there is no default."""

NO_SCHEMA_FITS = "is not valid under any of the given schemas"
_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\Z")


class InvalidValue(ValueError):
    """One value that one declaration does not take. The text is JSON Schema's, value included."""


class OutOfRange(InvalidValue):
    """A value of the right kind, `value`, that is not among those that the declaration takes."""

    def __init__(self, message: str, value: object) -> None:
        super().__init__(message)
        self.value = value


@dataclass(frozen=True)
class Tunable:
    """The range that a tuning job is advised to search, both ends included."""

    minimum: float
    maximum: float


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A range of numbers; each end is open (above, below), closed (minimum, maximum) or absent."""

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None

    def __contains__(self, number: float) -> bool:
        return not (
            (self.minimum is not None and number < self.minimum)
            or (self.above is not None and number <= self.above)
            or (self.maximum is not None and number > self.maximum)
            or (self.below is not None and number >= self.below)
        )

    def __str__(self) -> str:
        """` from 0 to 1`, ` greater than 0`, or nothing for all numbers."""
        parts = []
        if self.minimum is not None:
            parts.append(f"of at least {self.minimum:,}")
        if self.above is not None:
            parts.append(f"greater than {self.above:,}")
        if self.maximum is not None:
            parts.append(f"at most {self.maximum:,}")
        if self.below is not None:
            parts.append(f"less than {self.below:,}")
        return " " + " and ".join(parts) if parts else ""


class Hyperparameter(ABC):
    """One declaration. `parse` turns the string of the request into a value or refuses it."""

    api_type: str
    """The Type of a HyperParameterSpecification of CreateAlgorithm."""

    def __init__(
        self,
        name: str,
        *,
        default: Value = None,
        required: bool = False,
        aliases: Iterable[str] = (),
        help: str = "",
    ) -> None:
        self.name = name
        self.default = default
        self.required = required
        self.aliases = tuple(aliases)
        self.help = help

    @abstractmethod
    def parse(self, text: str) -> Value:
        """The value of `text`; raises InvalidValue in JSON Schema's words."""

    @property
    @abstractmethod
    def expected(self) -> str:
        """What is right, as it reads after "must be"."""

    @property
    def is_tunable(self) -> bool:
        """Whether a tuning job may search this hyperparameter."""
        return False

    def range_specification(self) -> dict[str, Any] | None:
        """The Range of CreateAlgorithm's SupportedHyperParameters, None for free text."""
        return None

    def specification(self) -> dict[str, Any]:
        """This declaration as CreateAlgorithm's HyperParameterSpecification."""
        values = self.range_specification()
        described: dict[str, Any] = {
            "Name": self.name,
            "Type": self.api_type if values else "FreeText",
            "IsTunable": self.is_tunable and values is not None,
            "IsRequired": self.required,
        }
        if self.help:
            described["Description"] = self.help
        if values:
            described["Range"] = values
        if self.default is not None and not (values and self.default == AUTO):
            described["DefaultValue"] = as_text(self.default)
        return described


class _Number(Hyperparameter):
    """What integers and floats share: an interval, `auto`, and a range to tune in."""

    noun: str

    def __init__(
        self,
        name: str,
        *,
        minimum: float | None = None,
        maximum: float | None = None,
        above: float | None = None,
        below: float | None = None,
        auto: bool = False,
        also: Iterable[str] = (),
        tunable: Tunable | None = None,
        default: Value = None,
        required: bool = False,
        aliases: Iterable[str] = (),
        help: str = "",
    ) -> None:
        super().__init__(name, default=default, required=required, aliases=aliases, help=help)
        self.interval = Interval(minimum=minimum, maximum=maximum, above=above, below=below)
        self.words = ((AUTO,) if auto else ()) + tuple(also)
        self.tunable = tunable

    def parse(self, text: str) -> Value:
        """The number, or one of the words this declaration takes beside numbers."""
        stripped = text.strip()
        if stripped in self.words:
            return stripped
        number = self._number(stripped)
        if number is None:
            raise InvalidValue(f"{text!r} {NO_SCHEMA_FITS}")
        if number not in self.interval:
            raise OutOfRange(f"{text!r} {NO_SCHEMA_FITS}", number)
        return number

    @abstractmethod
    def _number(self, text: str) -> int | float | None:
        """The number that `text` is, None if it is none."""

    @property
    def expected(self) -> str:
        words = "".join(f"{word!r} or " for word in self.words)
        return f"{words}{self.noun}{self.interval}"

    @property
    def is_tunable(self) -> bool:
        return self.tunable is not None

    def _tuning_bounds(self) -> tuple[float, float] | None:
        """The range for CreateAlgorithm: what may be given, or what is advised where `auto` is
        allowed too (a range has no room for a word, and tuning needs a range)."""
        if self.words and self.tunable is None:
            return None
        low = self.interval.minimum if self.interval.minimum is not None else self.interval.above
        high = self.interval.maximum if self.interval.maximum is not None else self.interval.below
        if self.tunable is not None:
            low = self.tunable.minimum if low is None else low
            high = self.tunable.maximum if high is None else high
        return None if low is None or high is None else (low, high)


class Integer(_Number):
    """A whole number, written in decimal digits (`4`, not `4.0`)."""

    api_type = "Integer"
    noun = "an integer"

    def _number(self, text: str) -> int | None:
        return int(text) if _INTEGER.match(text) else None

    def range_specification(self) -> dict[str, Any] | None:
        bounds = self._tuning_bounds()
        if bounds is None:
            return None
        low, high = (str(int(bound)) for bound in bounds)
        return {"IntegerParameterRangeSpecification": {"MinValue": low, "MaxValue": high}}


class Float(_Number):
    """A finite number in decimal or scientific notation; integers are fine too."""

    api_type = "Continuous"
    noun = "a number"

    def _number(self, text: str) -> float | None:
        number = float(text) if _FLOAT.match(text) else math.inf
        return number if math.isfinite(number) else None

    def range_specification(self) -> dict[str, Any] | None:
        bounds = self._tuning_bounds()
        if bounds is None:
            return None
        low, high = (as_text(float(bound)) for bound in bounds)
        return {"ContinuousParameterRangeSpecification": {"MinValue": low, "MaxValue": high}}


class Categorical(Hyperparameter):
    """One of a closed list of words."""

    api_type = "Categorical"

    def __init__(
        self,
        name: str,
        values: Sequence[str],
        *,
        tunable: bool = False,
        default: str | None = None,
        required: bool = False,
        aliases: Iterable[str] = (),
        help: str = "",
    ) -> None:
        super().__init__(name, default=default, required=required, aliases=aliases, help=help)
        self.values = tuple(values)
        self._tunable = tunable

    def parse(self, text: str) -> Value:
        """The word itself."""
        word = text.strip()
        if word not in self.values:
            raise OutOfRange(f"{text!r} is not one of {list(self.values)!r}", word)
        return word

    @property
    def expected(self) -> str:
        return _one_of(self.values)

    @property
    def is_tunable(self) -> bool:
        return self._tunable

    def range_specification(self) -> dict[str, Any] | None:
        return {"CategoricalParameterRangeSpecification": {"Values": list(self.values)}}


class Boolean(Hyperparameter):
    """`true` or `false` in any case (Python clients send `True`), and `auto` where allowed."""

    api_type = "Categorical"

    def __init__(
        self,
        name: str,
        *,
        auto: bool = False,
        tunable: bool = False,
        default: bool | Auto | None = None,
        required: bool = False,
        aliases: Iterable[str] = (),
        help: str = "",
    ) -> None:
        super().__init__(name, default=default, required=required, aliases=aliases, help=help)
        self.words = ("true", "false", AUTO) if auto else ("true", "false")
        self._tunable = tunable

    def parse(self, text: str) -> Value:
        """True, False or "auto"."""
        word = text.strip().lower()
        if word not in self.words:
            raise InvalidValue(f"{text!r} is not one of {list(self.words)!r}")
        return AUTO if word == AUTO else word == "true"

    @property
    def expected(self) -> str:
        return _one_of(self.words)

    @property
    def is_tunable(self) -> bool:
        return self._tunable

    def range_specification(self) -> dict[str, Any] | None:
        # Clients spell it both ways and the service compares exactly, so both are listed.
        spelled = [spelling for word in self.words for spelling in (word, word.capitalize())]
        return {"CategoricalParameterRangeSpecification": {"Values": spelled}}


class Text(Hyperparameter):
    """Free text, optionally of one form: `pattern` must match all of it."""

    api_type = "FreeText"

    def __init__(
        self,
        name: str,
        *,
        pattern: str | None = None,
        expected: str = "a text",
        default: str | None = None,
        required: bool = False,
        aliases: Iterable[str] = (),
        help: str = "",
    ) -> None:
        super().__init__(name, default=default, required=required, aliases=aliases, help=help)
        self.pattern = pattern
        self._expected = expected

    def parse(self, text: str) -> Value:
        """The text as it is."""
        if self.pattern is not None and not re.fullmatch(self.pattern, text):
            raise InvalidValue(f"{text!r} does not match {self.pattern!r}")
        return text

    @property
    def expected(self) -> str:
        return self._expected


def as_text(value: Value) -> str:
    """A value as it is written in a request; `parse` of the same declaration reads it back."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _one_of(words: Sequence[str]) -> str:
    quoted = [repr(word) for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"

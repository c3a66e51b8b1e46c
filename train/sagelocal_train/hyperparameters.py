"""Hyperparameters, declared once: checked, defaulted, documented and exported from one table.

    TABLE = Hyperparameters(
        Categorical("predictor_type", ["regressor", "binary_classifier"], required=True),
        Integer("mini_batch_size", minimum=1, default=1000, tunable=Tunable(100, 5000)),
        Float("learning_rate", above=0, auto=True, default=AUTO),
        Boolean("use_bias", default=True),
        checks=[Check(("f_beta", "predictor_type"), f_beta_needs_a_classifier)],
    )
    values = TABLE.validate(environment.raw_hyperparameters)   # raises one UserError for them all
    values.integer("mini_batch_size"), values.number_or_auto("learning_rate")

Every value arrives as a string. The built-in algorithms check them with JSON Schema, so users know
its wording (`'abc' is not valid under any of the given schemas`); the same words are kept here,
each followed by the name and by what would have been right.
"""

from __future__ import annotations

import difflib
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sagelocal_train.errors import UserError

AUTO: Final = "auto"
"""The value of a hyperparameter that the algorithm shall choose itself."""

Auto = Literal["auto"]
Value = int | float | bool | str | None
"""What a declaration makes of a string. None: not given, and there is no default."""

FIRST_PARTY_HIDDEN: Final = frozenset(
    {
        "_tuning_objective_metric",
        "_kvstore",
        "_num_gpus",
        "_num_kv_servers",
        "_log_level",
        "_num_slices",
        "_enable_profiler",
        "_disable_wait_to_read",
    }
)
"""Names that every built-in algorithm accepts without documenting them."""

NO_SCHEMA_FITS = "is not valid under any of the given schemas"
_INTEGER = re.compile(r"[+-]?[0-9]+\Z")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\Z")


class InvalidValue(ValueError):
    """One value that one declaration does not take. The text is JSON Schema's, value included."""


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
        if number is None or number not in self.interval:
            raise InvalidValue(f"{text!r} {NO_SCHEMA_FITS}")
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
            raise InvalidValue(f"{text!r} is not one of {list(self.values)!r}")
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


class Values(Mapping[str, Value]):
    """Checked hyperparameters with their defaults: a mapping by name, with typed getters.

    A getter raises TypeError when the declaration can yield something else than what is asked for:
    that is a mistake of the algorithm's author, not of the user.
    """

    def __init__(self, values: Mapping[str, Value], given: Iterable[str] = ()) -> None:
        self._values = dict(values)
        self.given = frozenset(given)
        """The names that the request gave, without those that got their default."""

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Values({self._values!r})"

    def integer(self, name: str) -> int:
        """The value of an Integer that has one."""
        value = self[name]
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._unlike(name, "an integer")
        return value

    def integer_or_auto(self, name: str) -> int | Auto:
        """The value of an Integer that may be "auto"."""
        return AUTO if self[name] == AUTO else self.integer(name)

    def number(self, name: str) -> float:
        """The value of a Float (or Integer) that has one."""
        value = self[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._unlike(name, "a number")
        return float(value)

    def number_or_auto(self, name: str) -> float | Auto:
        """The value of a Float that may be "auto"."""
        return AUTO if self[name] == AUTO else self.number(name)

    def flag(self, name: str) -> bool:
        """The value of a Boolean that has one."""
        value = self[name]
        if not isinstance(value, bool):
            raise self._unlike(name, "a boolean")
        return value

    def flag_or_auto(self, name: str) -> bool | Auto:
        """The value of a Boolean that may be "auto"."""
        return AUTO if self[name] == AUTO else self.flag(name)

    def text(self, name: str) -> str:
        """The value of a Categorical or Text that has one."""
        value = self[name]
        if not isinstance(value, str):
            raise self._unlike(name, "a text")
        return value

    def _unlike(self, name: str, kind: str) -> TypeError:
        return TypeError(f"hyperparameter {name!r} is {self[name]!r}, not {kind}")


@dataclass(frozen=True)
class Check:
    """A rule over several hyperparameters: the text of what is wrong, or None.

    It is asked only when each of `names` is valid by itself, so a rule sees proper values.
    """

    names: tuple[str, ...]
    rule: Callable[[Values], str | None]


class Hyperparameters:
    """The table of an algorithm: declarations in the order of its documentation, and checks.

    `hidden` names are accepted and not checked; they are no part of the documentation.
    """

    def __init__(
        self,
        *declarations: Hyperparameter,
        checks: Iterable[Check] = (),
        hidden: Iterable[str] = FIRST_PARTY_HIDDEN,
    ) -> None:
        self.declarations = {declared.name: declared for declared in declarations}
        if len(self.declarations) != len(declarations):
            raise ValueError("a hyperparameter is declared twice")
        self.checks = tuple(checks)
        self.hidden = frozenset(hidden)
        self._names = {
            spelling: declared.name
            for declared in declarations
            for spelling in (declared.name, *declared.aliases)
        }
        self._refuse_unknown_names_in_checks()

    def _refuse_unknown_names_in_checks(self) -> None:
        unknown = {n for check in self.checks for n in check.names} - self.declarations.keys()
        if unknown:
            raise ValueError(f"a check names undeclared hyperparameters: {sorted(unknown)}")

    def validate(self, raw: Mapping[str, str]) -> Values:
        """The values of a job's hyperparameters, defaults filled in.

        Raises UserError that says all violations at once, one a line.
        """
        violations = self._unexpected(raw)
        given, doubled = self._by_name(raw)
        violations += doubled
        values: dict[str, Value] = {}
        for name, declared in self.declarations.items():
            try:
                values[name] = _value(declared, given)
            except InvalidValue as error:
                violations.append(str(error))
        violations += self._cross_violations(Values(values, given))
        if violations:
            raise UserError(_all_at_once(violations))
        return Values(values, given)

    def _unexpected(self, raw: Mapping[str, str]) -> list[str]:
        unexpected = [key for key in raw if key not in self._names and key not in self.hidden]
        if not unexpected:
            return []
        names = ", ".join(repr(key) for key in unexpected)
        verb = "was" if len(unexpected) == 1 else "were"
        hint = self._did_you_mean(unexpected)
        return [f"Additional properties are not allowed ({names} {verb} unexpected){hint}"]

    def _did_you_mean(self, unexpected: Sequence[str]) -> str:
        near = {
            key: match[0]
            for key in unexpected
            if (match := difflib.get_close_matches(key, self._names, n=1))
        }
        if not near:
            return f". Allowed are: {', '.join(self.declarations)}"
        return f": did you mean {', '.join(repr(name) for name in near.values())}?"

    def _by_name(self, raw: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
        """What was given by each declaration's own name, and names given twice by an alias."""
        given: dict[str, str] = {}
        spelled: dict[str, str] = {}
        doubled = []
        for key, text in raw.items():
            name = self._names.get(key)
            if name is None:
                continue
            if name in given:
                doubled.append(f"{spelled[name]!r} and {key!r} are the same: give one of them")
            given[name], spelled[name] = text, key
        return given, doubled

    def _cross_violations(self, values: Values) -> list[str]:
        found = (
            check.rule(values)
            for check in self.checks
            if all(name in values for name in check.names)
        )
        return [text for text in found if text]

    def markdown(self) -> str:
        """The README's table: name, whether required, valid values, default, what it does."""
        rows = [
            "| hyperparameter | required | valid values | default | description |",
            "|---|---|---|---|---|",
        ]
        for declared in self.declarations.values():
            default = "" if declared.default is None else f"`{as_text(declared.default)}`"
            required = "yes" if declared.required else ""
            cells = [f"`{declared.name}`", required, declared.expected, default, declared.help]
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        return "\n".join(rows) + "\n"

    def specification(self) -> list[dict[str, Any]]:
        """The SupportedHyperParameters of a CreateAlgorithm TrainingSpecification."""
        return [declared.specification() for declared in self.declarations.values()]


def as_text(value: Value) -> str:
    """A value as it is written in a request; `parse` of the same declaration reads it back."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _value(declared: Hyperparameter, given: Mapping[str, str]) -> Value:
    text = given.get(declared.name)
    if text is None and declared.required:
        raise InvalidValue(
            f"{declared.name!r} is a required property: set it to {declared.expected}"
        )
    if text is None:
        return declared.default
    try:
        return declared.parse(text)
    except InvalidValue as error:
        raise InvalidValue(f"{error}: {declared.name!r} must be {declared.expected}") from None


def _one_of(words: Sequence[str]) -> str:
    quoted = [repr(word) for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def _all_at_once(violations: Sequence[str]) -> str:
    if len(violations) == 1:
        return violations[0]
    return "\n".join([f"{len(violations)} hyperparameters are not valid.", *violations])

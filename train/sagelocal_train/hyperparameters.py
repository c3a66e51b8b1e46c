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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sagelocal_train.declarations import (
    AUTO,
    Auto,
    Boolean,
    Categorical,
    Float,
    Hyperparameter,
    Integer,
    InvalidValue,
    OutOfRange,
    Text,
    Tunable,
    Value,
    as_text,
)
from sagelocal_train.errors import UserError

__all__ = [
    "AUTO",
    "FIRST_PARTY_HIDDEN",
    "Auto",
    "Boolean",
    "Categorical",
    "Check",
    "Float",
    "Hyperparameter",
    "Hyperparameters",
    "Integer",
    "InvalidValue",
    "OutOfRange",
    "Text",
    "Tunable",
    "Value",
    "Values",
    "as_text",
]

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
        given, violations = self._by_name(raw)
        values: dict[str, Value] = {}
        for name, declared in self.declarations.items():
            try:
                values[name] = _value(declared, given)
            except InvalidValue as error:
                violations.append(str(error))
        violations += self._cross_violations(Values(values, given))
        # Last, because it may list all there are, and only 1,024 characters are shown.
        violations += self._unexpected(raw)
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


def _all_at_once(violations: Sequence[str]) -> str:
    if len(violations) == 1:
        return violations[0]
    return "\n".join([f"{len(violations)} hyperparameters are not valid.", *violations])

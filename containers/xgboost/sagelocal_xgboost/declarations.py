"""Hyperparameters in XGBoost's own words, and the three kinds of lists among them.

The original image checks its hyperparameters itself, and its clients know its texts:

    Missing required hyperparameter: num_round
    Extraneous hyperparameter found: etaa. Did you mean 'eta'?
    Hyperparameter eta: could not parse value
    Hyperparameter eta: value 1.5 not in range [0, 1]

(sagemaker-xgboost-container, sagemaker_algorithm_toolkit/hyperparameter_validation.py). It stops at
the first; here all that is wrong is said at once, a line each.
"""

from __future__ import annotations

import ast
import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sagelocal_train.declarations import Interval
from sagelocal_train.errors import TrainingError
from sagelocal_train.hyperparameters import (
    Categorical,
    Hyperparameter,
    Hyperparameters,
    InvalidValue,
    OutOfRange,
    Value,
    Values,
)


class UserError(TrainingError):
    """The user can mend this. The original's container ends with 1 then, as for everything."""

    @property
    def failure_text(self) -> str:
        return f"ClientError: {self}"


class _List(Hyperparameter):
    """Several values in one text; `parse` gives the text as XGBoost reads it."""

    api_type = "FreeText"
    range_text: str

    @property
    def expected(self) -> str:
        return f"{self.help_form} of {self.range_text}"

    help_form = "a list"


class Words(_List):
    """Words with commas between them, as `auc,error@0.7`. `rule` may allow, or refuse, more."""

    help_form = "words with commas between them, each one"

    def __init__(
        self,
        name: str,
        values: Sequence[str],
        *,
        rule: Callable[[str], bool | None] | None = None,
        help: str = "",
    ) -> None:
        super().__init__(name, help=help)
        self.values = tuple(values)
        self.range_text = repr(list(self.values))
        self._rule = rule

    @property
    def expected(self) -> str:
        return f"{self.help_form} of {', '.join(map(repr, self.values))}"

    def parse(self, text: str) -> Value:
        """The words without blanks around them; raises InvalidValue."""
        words = [word.strip() for word in text.split(",")]
        for word in words:
            allowed = self._rule(word) if self._rule else None
            if not (word in self.values if allowed is None else allowed):
                raise OutOfRange(f"{word!r} is not one of {self.range_text}", words)
        return ",".join(words)


class Tuple(_List):
    """Numbers of a closed set, as `(1, 0, -1)`."""

    help_form = "a tuple, each number one"

    def __init__(self, name: str, values: Sequence[int], *, help: str = "") -> None:
        super().__init__(name, help=help)
        self.values = tuple(values)
        self.range_text = repr(list(self.values))

    def parse(self, text: str) -> Value:
        """`(1,0,-1)`; raises InvalidValue."""
        numbers = _literal(text)
        if isinstance(numbers, int):  # "(1)", and what the SDK makes of a tuple of one
            numbers = (numbers,)
        if not isinstance(numbers, tuple | list) or not numbers:
            raise InvalidValue(f"{text!r} is no tuple of numbers")
        if any(isinstance(n, bool) or n not in self.values for n in numbers):
            raise OutOfRange(f"{text!r} is not of {self.range_text}", tuple(numbers))
        return f"({','.join(str(int(number)) for number in numbers)})"


class NestedList(_List):
    """Lists of whole numbers, as `[[1, 2], [3, 4, 5]]`."""

    help_form = "a list of lists, each number a whole number"

    def __init__(self, name: str, *, minimum: int, help: str = "") -> None:
        super().__init__(name, help=help)
        self.interval = Interval(minimum=minimum)
        self.range_text = notation(self.interval)

    @property
    def expected(self) -> str:
        return f"{self.help_form}{self.interval}"

    def parse(self, text: str) -> Value:
        """The lists as JSON; raises InvalidValue."""
        lists = _literal(text)
        if not isinstance(lists, list | tuple) or not all(
            isinstance(inner, list | tuple) and all(type(n) is int for n in inner)
            for inner in lists
        ):
            raise InvalidValue(f"{text!r} is no list of lists of whole numbers")
        if any(number not in self.interval for inner in lists for number in inner):
            raise OutOfRange(f"{text!r} is not in {self.range_text}", lists)
        return json.dumps(lists)


def _literal(text: str) -> Any:
    """A Python literal; raises InvalidValue. Unlike the original this runs no code."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise InvalidValue(f"{text!r} is no list of numbers") from error


def notation(interval: Interval) -> str:
    """An interval as mathematics writes it: `[0, 1)`, `(0, +inf)`."""
    low, high = "(-inf", "+inf)"
    if interval.minimum is not None:
        low = f"[{interval.minimum:g}"
    elif interval.above is not None:
        low = f"({interval.above:.10g}"
    if interval.maximum is not None:
        high = f"{interval.maximum:g}]"
    elif interval.below is not None:
        high = f"{interval.below:.10g})"
    return f"{low}, {high}"


class Table(Hyperparameters):
    """A table whose `validate` speaks as the original does."""

    def validate(self, raw: Mapping[str, str]) -> Values:
        """The values of a job's hyperparameters; raises UserError that says all violations."""
        given, problems = self._by_name(raw)
        values: dict[str, Value] = {}
        for name, declared in self.declarations.items():
            text = given.get(name)
            if text is None:
                values[name] = declared.default
                if declared.required:
                    problems.append(f"Missing required hyperparameter: {name}")
                continue
            try:
                values[name] = declared.parse(text)
            except OutOfRange as error:
                problems.append(
                    f"Hyperparameter {name}: value {error.value} not in range {range_of(declared)}"
                )
            except InvalidValue as error:
                problems.append(f"Hyperparameter {name}: could not parse value ({error})")
        problems += [self._extraneous(name) for name in raw if self._is_unknown(name)]
        problems += self._cross_violations(Values(values, given))
        if problems:
            raise UserError("\n".join(problems))
        return Values(values, given)

    def _is_unknown(self, name: str) -> bool:
        return name not in self._names and name not in self.hidden

    def _extraneous(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._names, n=1)
        hint = f". Did you mean {near[0]!r}?" if near else ""
        return f"Extraneous hyperparameter found: {name}{hint}"


def range_of(declared: Hyperparameter) -> str:
    """What a declaration takes, as the original writes it."""
    if isinstance(declared, Categorical):
        return repr(list(declared.values))
    interval = getattr(declared, "interval", None)
    text: str = getattr(declared, "range_text", "") or notation(interval or Interval())
    return text

"""One time series, as a record of a channel or an instance of a request says it.

    {"start": "2009-11-01 00:00:00", "target": [4.3, "NaN", 5.1], "cat": [0, 1],
     "dynamic_feat": [[1.1, 1.2, 0.5]]}

Missing values are null or "NaN" (developer guide, "Input/Output Interface for the DeepAR
Algorithm"); a bare NaN, which Python writes, is read as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sagelocal_deepar.frequency import Floats, Frequency

_LARGEST = float(np.finfo(np.float32).max)
_SHOWN = 40
_NO_FEATURES: Floats = np.zeros((0, 0), np.float32)


class RecordError(ValueError):
    """A record that is no time series; says which member is wrong, and what would be right."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A series: the time of its first value, the values (NaN where missing), and what else is
    known.

    `dynamic` has a row for each feature.
    """

    start: int
    target: Floats
    categories: tuple[int, ...] = ()
    dynamic: Floats = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.dynamic is None:
            object.__setattr__(self, "dynamic", _NO_FEATURES)

    def until(self, end: int) -> Series:
        """The same series without its last values; features stay as they are."""
        return replace(self, target=self.target[:end])


def series_of(record: Any, frequency: Frequency, ahead: int = 0) -> Series:
    """The series of a decoded record; raises RecordError.

    Dynamic features must be `ahead` values longer than the target.
    """
    if not isinstance(record, Mapping):
        raise RecordError(
            f"it is {_shown(record)}, not an object such as "
            '{"start": "2009-11-01 00:00:00", "target": [4.3, 5.1]}'
        )
    target = _target(record)
    return Series(
        _start(record, frequency),
        target,
        _categories(record.get("cat")),
        _dynamic(record.get("dynamic_feat"), len(target), ahead),
    )


def _start(record: Mapping[str, Any], frequency: Frequency) -> int:
    start = record.get("start")
    if start is None:
        raise RecordError('it has no "start": add one, such as "2009-11-01 00:00:00"')
    if not isinstance(start, str):
        raise RecordError(f'"start" is {_shown(start)}, not a text such as "2009-11-01 00:00:00"')
    try:
        return frequency.time_of(start)
    except ValueError as error:
        why = ": it has a time zone; leave it out" if "time zone" in str(error) else ""
        raise RecordError(
            f'"start" is {_shown(start)}, not a time of the form YYYY-MM-DD HH:MM:SS{why}'
        ) from error


def _target(record: Mapping[str, Any]) -> Floats:
    target = record.get("target")
    if target is None:
        raise RecordError('it has no "target": add the list of its values')
    if not isinstance(target, Sequence | np.ndarray) or isinstance(target, str):
        raise RecordError(f'"target" is {_shown(target)}, not a list of numbers')
    return _numbers(target, '"target"', missing=True)


def _numbers(given: Any, what: str, missing: bool) -> Floats:
    """A list as float32; NaN for null and "NaN" where values may be missing."""
    # Whether there are nothing but plain numbers is asked first, because it is quick.
    if isinstance(given, np.ndarray) or set(map(type, given)) <= {int, float}:
        try:
            array = np.asarray(given, np.float64)
        except OverflowError:
            array = np.full(len(given), np.inf)
        if array.ndim == 1 and not _has_strange(array, missing):
            return array.astype(np.float32)
    return np.array(
        [_number(each, what, place, missing) for place, each in enumerate(given, 1)], np.float32
    )


def _has_strange(array: Any, missing: bool) -> bool:
    strange = np.abs(array) > _LARGEST
    return bool(strange.any() or (not missing and np.isnan(array).any()))


def _number(value: Any, what: str, place: int, missing: bool) -> float:
    absent = value is None or (isinstance(value, str) and value.strip().lower() == "nan")
    if not absent and isinstance(value, float | np.floating) and value != value:
        absent = True
    if absent and missing:
        return float("nan")
    if absent:
        raise RecordError(f"{what} has no value at position {place}: features may not be missing")
    right = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not right or abs(value) > _LARGEST:
        hint = '; write null or "NaN" for a missing value' if missing else ""
        raise RecordError(
            f"{what} has {_shown(value)} at position {place}, which is no finite 32-bit number"
            f"{hint}"
        )
    return float(value)


def _categories(cat: Any) -> tuple[int, ...]:
    if cat is None:
        return ()
    # The original takes a bare number, too.
    entries = [cat] if isinstance(cat, int) and not isinstance(cat, bool) else cat
    if not isinstance(entries, Sequence | np.ndarray) or isinstance(entries, str):
        raise RecordError(f'"cat" is {_shown(cat)}, not a list of whole numbers from 0')
    for entry in entries:
        whole = isinstance(entry, int | np.integer) and not isinstance(entry, bool)
        if not whole or entry < 0:
            raise RecordError(f'"cat" has {_shown(entry)}, which is no whole number from 0')
    return tuple(int(entry) for entry in entries)


def _dynamic(given: Any, length: int, ahead: int) -> Floats:
    if given is None or (isinstance(given, Sequence | np.ndarray) and not len(given)):
        return _NO_FEATURES
    if not isinstance(given, Sequence | np.ndarray) or isinstance(given, str):
        raise RecordError(f'"dynamic_feat" is {_shown(given)}, not a list of lists of numbers')
    rows = []
    for number, row in enumerate(given, 1):
        what = f'series {number} of "dynamic_feat"'
        if not isinstance(row, Sequence | np.ndarray) or isinstance(row, str):
            raise RecordError(f"{what} is {_shown(row)}, not a list of numbers")
        if len(row) != length + ahead:
            more = f" and {ahead} more (prediction_length)" if ahead else ""
            raise RecordError(
                f'{what} has {len(row)} values; it needs as many as "target", {length}{more}'
            )
        rows.append(_numbers(row, what, missing=False))
    return np.stack(rows)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."

"""One row on its way through a pipeline: columns by name.

A scalar is a Python value, an array a list, and a vector a numpy array of float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sagelocal_sparkml_serving import java
from sagelocal_sparkml_serving.bundle import Array, Stage
from sagelocal_sparkml_serving.faults import Refused

Row = dict[str, Any]
Step = Callable[[Row], None]
"""Reads the columns that a stage takes and writes those that it gives."""


def column(row: Row, name: str) -> Any:
    """The value of a column; raises Refused."""
    try:
        return row[name]
    except KeyError:
        raise Refused(
            f"There is no column {name!r}. The schema and the pipeline's stages give: "
            f"{', '.join(row)}."
        ) from None


def number(row: Row, name: str) -> float:
    """A column that holds one number; raises Refused."""
    value = column(row, name)
    if value is None:
        raise Refused(f"The column {name!r} is empty.")
    if isinstance(value, str | list | np.ndarray):
        raise Refused(
            f"The column {name!r} is no number: {_shown(value)}. See its type in the schema."
        )
    return float(value)


def vector(row: Row, name: str, size: int | None = None) -> Array:
    """A column that holds a vector, of this size if it is given; raises Refused."""
    value = column(row, name)
    if isinstance(value, str) or value is None:
        raise Refused(f"The column {name!r} is no vector: {_shown(value)}.")
    try:
        found = np.atleast_1d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise Refused(f"The column {name!r} is no vector: {_shown(value)}.") from error
    if size is not None and len(found) != size:
        raise Refused(
            f"The column {name!r} has {len(found)} values; the pipeline was fitted with {size}."
        )
    return found


def words(row: Row, name: str) -> list[str]:
    """A column that holds a list of texts; raises Refused."""
    value = column(row, name)
    if not isinstance(value, list):
        raise Refused(f"The column {name!r} is no array of texts: {_shown(value)}.")
    return [java.text(item) for item in value]


def of_number(stage: Stage, compute: Callable[[float], Any]) -> Step:
    """A stage from one number to one value, or from each of a vector."""
    source, target = stage.input(), stage.output()

    def step(row: Row) -> None:
        value = column(row, source)
        if isinstance(value, np.ndarray | list):
            row[target] = np.array([compute(float(each)) for each in vector(row, source)])
        else:
            row[target] = compute(number(row, source))

    return step


def of_vector(stage: Stage, compute: Callable[[Array], Any], size: int | None = None) -> Step:
    """A stage from a vector to a value."""
    source, target = stage.input(), stage.output()

    def step(row: Row) -> None:
        row[target] = compute(vector(row, source, size))

    return step


def of_words(stage: Stage, compute: Callable[[Sequence[str]], Any]) -> Step:
    """A stage from a list of texts to a value."""
    source, target = stage.input(), stage.output()

    def step(row: Row) -> None:
        row[target] = compute(words(row, source))

    return step


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"

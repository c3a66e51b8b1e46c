"""What the columns of a request are, and which column is the answer.

    {"input": [{"name": "sex", "type": "string"}, {"name": "f", "type": "double",
    "struct": "vector"}], "output": {"name": "features", "type": "double", "struct": "vector"}}

It comes with the request or in SAGEMAKER_SPARKML_SCHEMA (sagemaker-sparkml-serving-container,
"Procedure to pass the schema").
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sagelocal_sparkml_serving import java
from sagelocal_sparkml_serving.faults import Refused
from sagelocal_sparkml_serving.frame import Row, column

VARIABLE = "SAGEMAKER_SPARKML_SCHEMA"
BASIC, VECTOR, ARRAY = "basic", "vector", "array"
STRUCTS = (BASIC, VECTOR, ARRAY)

_BITS = {"byte": 8, "short": 16, "int": 32, "long": 64}
_DECIMALS = ("float", "double")
TYPES = ("boolean", *_BITS, *_DECIMALS, "string")


@dataclass(frozen=True)
class Column:
    """A name, a type of TYPES, and a structure of STRUCTS."""

    name: str
    type: str
    struct: str = BASIC

    @classmethod
    def parse(cls, written: Any, where: str) -> Column:
        """One column of a schema; raises Refused."""
        if not isinstance(written, Mapping) or not isinstance(written.get("name"), str):
            raise Refused(f"A column of the schema's {where} has no name: {written!r}.")
        found = cls(written["name"], written.get("type", ""), written.get("struct") or BASIC)
        if found.type not in TYPES:
            raise Refused(
                f"Given type is not supported: {found.type!r}, of the column {found.name!r}. "
                f"Types: {', '.join(TYPES)}."
            )
        if found.struct not in STRUCTS:
            raise Refused(
                f"The struct {found.struct!r} of the column {found.name!r} is none of "
                f"{', '.join(STRUCTS)}."
            )
        return found


@dataclass(frozen=True)
class Schema:
    """The columns of a request, in the order of its data, and the column of the answer."""

    inputs: tuple[Column, ...]
    output: Column

    @classmethod
    def parse(cls, written: Any) -> Schema:
        """A schema from JSON, text or value; raises Refused."""
        if isinstance(written, str):
            try:
                written = json.loads(written)
            except ValueError as error:
                raise Refused(f"{VARIABLE} is no JSON: {error}.") from error
        if not isinstance(written, Mapping) or not isinstance(written.get("input"), list):
            raise Refused("The schema is no object with a list 'input' and an object 'output'.")
        inputs = tuple(Column.parse(each, "input") for each in written["input"])
        return cls(inputs, Column.parse(written.get("output"), "output"))

    def row(self, data: Sequence[Any]) -> Row:
        """The columns of one row of data; raises Refused."""
        if len(data) < len(self.inputs):
            raise Refused(
                f"The row has {len(data)} values; the schema has {len(self.inputs)} columns: "
                f"{', '.join(each.name for each in self.inputs)}."
            )
        pairs = zip(self.inputs, data, strict=False)
        return {each.name: _read(value, each) for each, value in pairs}

    def answer(self, row: Row) -> Any:
        """The output column's value: a scalar, or a list of them; raises Refused."""
        found = column(row, self.output.name)
        if self.output.struct != BASIC:
            if isinstance(found, str) or not isinstance(found, list | np.ndarray):
                raise Refused(
                    f"The output {self.output.name!r} is one value, and no {self.output.struct}: "
                    "leave its struct out of the schema."
                )
            return [each.item() if isinstance(each, np.generic) else each for each in found]
        if isinstance(found, list | np.ndarray):
            struct = VECTOR if isinstance(found, np.ndarray) else ARRAY
            raise Refused(
                f'The output {self.output.name!r} has several values: add "struct": "{struct}" '
                "to it in the schema."
            )
        _check_type(found, self.output)
        return found


def _read(value: Any, wanted: Column) -> Any:
    if wanted.struct == BASIC:
        return _scalar(value, wanted)
    if not isinstance(value, list):
        raise Refused(
            f"Input val is not a list but struct passed is {wanted.struct}, of the column "
            f"{wanted.name!r}."
        )
    if wanted.struct == VECTOR:
        if wanted.type != "double":
            raise Refused(
                f"Only Double type is supported for vector, not {wanted.type!r} of the column "
                f"{wanted.name!r}."
            )
        return np.array([_scalar(each, wanted) for each in value], dtype=np.float64)
    return [_scalar(each, wanted) for each in value]


def _scalar(value: Any, wanted: Column) -> Any:
    if value is None:
        raise Refused(f"The column {wanted.name!r} is null.")
    text = java.text(value)
    if wanted.type == "string":
        return text
    if wanted.type == "boolean":
        return text.lower() == "true"
    try:
        if wanted.type in _DECIMALS:
            number = float(text)
            return float(np.float32(number)) if wanted.type == "float" else number
        whole = int(text)
    except ValueError as error:
        raise Refused(
            f'For input string: "{text}". The column {wanted.name!r} is of type {wanted.type}.'
        ) from error
    if not -(1 << _BITS[wanted.type] - 1) <= whole < 1 << _BITS[wanted.type] - 1:
        raise Refused(
            f'For input string: "{text}". It does not fit the type {wanted.type} of the column '
            f"{wanted.name!r}."
        )
    return whole


def _check_type(value: Any, wanted: Column) -> None:
    """As Java casts: a double is no int, and a text no number."""
    kinds = {"string": str, "boolean": bool} | dict.fromkeys(_DECIMALS, float)
    kind = kinds.get(wanted.type, int)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        names = {str: "string", bool: "boolean", float: "double", int: "int"}
        raise Refused(
            f"The output {wanted.name!r} is of type {names.get(type(value), 'null')}, and the "
            f"schema says {wanted.type}."
        )

"""The constraints of a request's shape, in AWS's words.

SageMaker and its neighbours check required members, lengths, ranges, patterns and enums before
anything else, collect every violation, and say them in one sentence:

    2 validation errors detected: Value 'a_b' at 'trainingJobName' failed to satisfy constraint:
    Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}; Value '0' at
    'resourceConfig.instanceCount' failed to satisfy constraint: Member must have value greater
    than or equal to 1

Paths are in lower camel case; elements of lists count from 1 (`inputDataConfig.1.member`). What is
said of the elements of a list or the values of a map, when those are plain, is said of the whole:
`Map value must satisfy constraint: [...]` lists every constraint of the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StringShape, StructureShape

from sagelocal.protocol import patterns
from sagelocal.protocol.faults import Fault, malformed_xml


@dataclass(frozen=True)
class Violation:
    """One value that breaks one constraint. `value` is None for a member that is missing."""

    path: str
    value: str | None
    constraint: str

    def __str__(self) -> str:
        shown = "null" if self.value is None else f"'{self.value}'"
        return f"Value {shown} at '{self.path}' failed to satisfy constraint: {self.constraint}"


# The error code by which each service reports violations. S3 has its own errors for each.
_CODES = {
    "sagemaker": "ValidationException",
    "sagemaker-runtime": "ValidationError",
    "logs": "InvalidParameterException",
    "ecr": "InvalidParameterException",
    "sts": "ValidationError",
    "iam": "ValidationError",
    "cloudwatch": "ValidationError",
}


def check(service: str, operation: OperationModel, parameters: Mapping[str, Any]) -> None:
    """Raise the service's Fault if the parameters break constraints of the operation's shape."""
    shape = operation.input_shape
    if shape is None:
        return
    if service == "s3":
        _check_complete(shape, parameters)
        return
    found = list(violations(shape, parameters)) if service in _CODES else []
    if found:
        raise Fault(_CODES[service], message(service, found))


def message(service: str, found: list[Violation]) -> str:
    """The sentence that says all of them; ECR says the first only, in words of its own."""
    if service == "ecr":
        first = found[0]
        words = first.constraint
        if "enum value set" not in words:
            words = words.removeprefix("Member ")
        words = re.sub(r"(regular expression) pattern: (.*)", r"\1 '\2'", words, flags=re.DOTALL)
        return f"Invalid parameter at '{first.path}' failed to satisfy constraint: '{words}'"
    noun = "error" if len(found) == 1 else "errors"
    return f"{len(found)} validation {noun} detected: {'; '.join(map(str, found))}"


def violations(
    shape: StructureShape, parameters: Mapping[str, Any], path: str = ""
) -> Iterator[Violation]:
    """Every violation, in the order of the shape's members."""
    payload = shape.serialization.get("payload")
    for name, member in shape.members.items():
        value = parameters.get(name)
        where = _join(path, _lower_camel(name))
        if value is not None:
            # A body's size is the service's own business: it has a limit, and words, of its own.
            if not (name == payload and member.type_name == "blob"):
                yield from _value_violations(member, value, where)
        elif name in shape.required_members:
            yield Violation(where, None, "Member must not be null")


def _check_complete(shape: StructureShape, parameters: Mapping[str, Any]) -> None:
    """S3: a body without its required elements is no XML of the schema."""
    for violation in violations(shape, parameters):
        if violation.value is None:
            name = next(n for n in shape.members if _lower_camel(n) == violation.path.split(".")[0])
            if name == shape.serialization.get("payload"):
                raise _missing_body(violation)
            raise Fault("InvalidArgument", f"The request lacks {name}")


def _missing_body(violation: Violation) -> Fault:
    if "." in violation.path:
        return malformed_xml()
    return Fault("MissingRequestBodyError", "Request Body is empty")


def _value_violations(shape: Shape, value: Any, path: str) -> Iterator[Violation]:
    for broken in _broken(shape, value):
        yield Violation(path, render(value), broken)
    if isinstance(shape, StructureShape):
        if isinstance(value, Mapping):
            yield from violations(shape, value, path)
    elif isinstance(shape, ListShape):
        yield from _list_violations(shape, value, path)
    elif isinstance(shape, MapShape):
        yield from _map_violations(shape, value, path)


def _list_violations(shape: ListShape, value: Any, path: str) -> Iterator[Violation]:
    if _is_nested(shape.member):
        for number, item in enumerate(value, start=1):
            yield from _value_violations(shape.member, item, f"{path}.{number}.member")
    elif any(any(_broken(shape.member, item)) for item in value):
        yield Violation(path, render(value), _of_each("Member", shape.member))


def _map_violations(shape: MapShape, value: Mapping[str, Any], path: str) -> Iterator[Violation]:
    if any(any(_broken(shape.key, key)) for key in value):
        yield Violation(path, render(value), _of_each("Map keys", shape.key))
    if _is_nested(shape.value):
        for key, item in value.items():
            yield from _value_violations(shape.value, item, f"{path}.{key}.member")
    elif any(any(_broken(shape.value, item)) for item in value.values()):
        yield Violation(path, render(value), _of_each("Map value", shape.value))


def _is_nested(shape: Shape) -> bool:
    return isinstance(shape, StructureShape | ListShape | MapShape)


def _of_each(subject: str, shape: Shape) -> str:
    return f"{subject} must satisfy constraint: [{', '.join(_constraints(shape))}]"


_MEASURED_BY_LENGTH = frozenset({"string", "blob", "list", "map"})
_MEASURED_BY_VALUE = frozenset({"integer", "long", "float", "double"})


def _broken(shape: Shape, value: Any) -> Iterator[str]:
    """The constraints of this shape alone, not of what is inside it, that a value breaks."""
    bounds = shape.metadata
    if shape.type_name in _MEASURED_BY_LENGTH:
        measure: float = len(value) if hasattr(value, "__len__") else 0
    elif shape.type_name in _MEASURED_BY_VALUE:
        measure = value
    else:
        return
    if "max" in bounds and measure > bounds["max"]:
        yield _at_most(shape)
    if "min" in bounds and measure < bounds["min"]:
        yield _at_least(shape)
    if isinstance(value, str):
        if shape.metadata.get("pattern") and not patterns.matches(shape.metadata["pattern"], value):
            yield _pattern(shape)
        if isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
            yield _enum(shape)


def _constraints(shape: Shape) -> Iterator[str]:
    """Every constraint of a shape, broken or not."""
    if "max" in shape.metadata:
        yield _at_most(shape)
    if "min" in shape.metadata:
        yield _at_least(shape)
    if shape.metadata.get("pattern"):
        yield _pattern(shape)
    if isinstance(shape, StringShape) and shape.enum:
        yield _enum(shape)


def _at_most(shape: Shape) -> str:
    return f"Member must have {_measure(shape)} less than or equal to {shape.metadata['max']}"


def _at_least(shape: Shape) -> str:
    return f"Member must have {_measure(shape)} greater than or equal to {shape.metadata['min']}"


def _pattern(shape: Shape) -> str:
    return f"Member must satisfy regular expression pattern: {shape.metadata['pattern']}"


def _enum(shape: StringShape) -> str:
    return f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"


def _measure(shape: Shape) -> str:
    return "length" if shape.type_name in _MEASURED_BY_LENGTH else "value"


def render(value: Any) -> str:
    """A value as AWS's messages show it: lists in brackets, maps as `{a=b, c=d}`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}={render(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(render(item) for item in value) + "]"
    if isinstance(value, bytes):
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    return str(value)


def _lower_camel(name: str) -> str:
    """`TrainingJobName` as `trainingJobName`; `S3Uri` as `s3Uri`."""
    return name[:1].lower() + name[1:]


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name

"""Calls held against botocore's own service models before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from botocore.model import StructureShape
from botocore.validate import ParamValidator

from sagelocal.account import CloudError
from sagelocal.cloud.plan import PlannedCall
from sagelocal.cloud.tables import nearest
from sagelocal.protocol import models, validation

_ENUM = re.compile(r"enum value set: \[(?P<values>.*)\]", re.DOTALL)
_SHOWN_VALUES = 8


def check_calls(calls: Sequence[PlannedCall]) -> None:
    """Raise CloudError, with everything that the models object to, if they object."""
    found = [f"{call.operation}: {text}" for call in calls for text in objections(call)]
    if found:
        raise CloudError(
            "the service's model does not allow what would be sent:\n  " + "\n  ".join(found)
        )


def objections(call: PlannedCall) -> Iterator[str]:
    """What the model of the operation says against the parameters: kinds, names, then values."""
    service = models.load(call.service)
    assert service is not None
    shape = service.operation(call.operation).input_shape
    assert isinstance(shape, StructureShape)
    report = ParamValidator().validate(call.parameters, shape)
    if report.has_errors():
        yield from report.generate_report().splitlines()
        return
    for violation in validation.violations(shape, call.parameters):
        yield _short(violation)


def _short(violation: validation.Violation) -> str:
    """The violation, without a list of hundreds of instance types."""
    values = _ENUM.search(violation.constraint)
    known = values["values"].split(", ") if values else []
    if len(known) <= _SHOWN_VALUES:
        return str(violation)
    near = nearest(str(violation.value), known)
    hint = f"; did you mean {near}?" if near else f"; it knows {len(known)} others"
    return f"{violation.path} is {violation.value!r}, which is not known to AWS{hint}"

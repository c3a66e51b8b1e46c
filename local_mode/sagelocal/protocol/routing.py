"""From method, path and query string to an operation: the router of the REST services.

An operation's model gives a template (`/{Bucket}/{Key+}?uploads`). Where several templates fit a
path, the one that asks for most wins: literal query parameters, then query parameters and headers
that are required (`PUT /b/k` is PutObject; with `partNumber` and `uploadId` it is UploadPart; with
`x-amz-copy-source` too, UploadPartCopy).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

from botocore.model import OperationModel

from sagelocal.protocol.http import HttpRequest

# Clients may add x-id to say which operation they mean; nobody has to.
_HINT = "x-id"
_LABEL = re.compile(r"\{(\w+)(\+?)\}")


@dataclass(frozen=True)
class Match:
    """An operation that fits a request, and the decoded labels of its path."""

    operation: OperationModel
    labels: Mapping[str, str]


@dataclass(frozen=True)
class _Route:
    operation: OperationModel
    method: str
    pattern: re.Pattern[str]
    labels: tuple[str, ...]
    literal_characters: int
    literals: Mapping[str, str]
    required_parameters: tuple[str, ...]
    required_headers: tuple[str, ...] = field(default=())

    def score(self, query: Mapping[str, str], headers: Mapping[str, str]) -> int | None:
        """How much of what it asks for the request has; None if anything is missing."""
        if any(query.get(name) != value for name, value in self.literals.items()):
            return None
        if any(name not in query for name in self.required_parameters):
            return None
        found = [name for name in self.required_headers if name in headers]
        # Where the query names the operation already, a header that it lacks is its caller's fault.
        if len(found) < len(self.required_headers) and not self.literals:
            return None
        hinted = query.get(_HINT)
        if hinted and hinted != self.operation.name:
            return None
        return len(self.literals) + len(self.required_parameters) + len(found)


class Router:
    """The routes of one service."""

    def __init__(self, operations: Iterable[OperationModel]) -> None:
        routes = [_route(operation) for operation in operations]
        # Among equals: the longer literal path, and what is not deprecated.
        routes.sort(key=lambda r: (-r.literal_characters, r.operation.deprecated, r.operation.name))
        self._by_method: dict[str, list[_Route]] = {}
        for route in routes:
            self._by_method.setdefault(route.method, []).append(route)

    def match(self, request: HttpRequest, path: str) -> Match | None:
        """The operation that fits best, or None. `path` is raw, in path style.

        Raises UnicodeDecodeError for a path that is no UTF-8.
        """
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        best: tuple[int, int] | None = None
        found: Match | None = None
        for route in self._by_method.get(request.method, ()):
            fit = route.pattern.fullmatch(path)
            score = route.score(query, request.headers) if fit else None
            if fit is None or score is None:
                continue
            rank = (route.literal_characters, score)
            if best is None or rank > best:
                best = rank
                values = (unquote(value, errors="strict") for value in fit.groups())
                found = Match(route.operation, dict(zip(route.labels, values, strict=True)))
        return found


def _route(operation: OperationModel) -> _Route:
    template, _, query = operation.http["requestUri"].partition("?")
    literals = dict(parse_qsl(query, keep_blank_values=True))
    literals.pop(_HINT, None)
    pattern, labels = _compile(template)
    parameters, headers = _required(operation)
    return _Route(
        operation=operation,
        method=operation.http["method"],
        pattern=pattern,
        labels=labels,
        literal_characters=len(_LABEL.sub("", template).strip("/")),
        literals=literals,
        required_parameters=tuple(name for name in parameters if name not in literals),
        required_headers=headers,
    )


def _compile(template: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    pieces: list[str] = []
    labels: list[str] = []
    position = 0
    for label in _LABEL.finditer(template):
        pieces.append(re.escape(template[position : label.start()]))
        pieces.append("(.+)" if label[2] else "([^/]+)")
        labels.append(label[1])
        position = label.end()
    pieces.append(re.escape(template[position:]))
    optional_slash = "" if template.endswith(("+}", "/")) else "/?"
    return re.compile("".join(pieces) + optional_slash, re.DOTALL), tuple(labels)


def _required(operation: OperationModel) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The query parameters and headers without which a request is not for this operation."""
    shape = operation.input_shape
    if shape is None:
        return (), ()
    parameters: list[str] = []
    headers: list[str] = []
    for name in shape.required_members:
        serialization = shape.members[name].serialization
        wire = serialization.get("name", name)
        if serialization.get("location") == "querystring":
            parameters.append(wire)
        elif serialization.get("location") == "header":
            headers.append(wire)
    return tuple(parameters), tuple(headers)

"""Which function answers which method and path, as a table.

    Router([
        Route("GET", "/ping", ping),
        Route("POST", "/models/{model_name}/invoke", invoke),
    ])

A name in braces stands for one segment of the path, whatever it holds; the view finds it in
`call.variables`. A view gets a `Call` and gives a `Reply`, or raises a ServeError. Nothing here
knows a server: the application is built on this table and another module adds its own routes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from sagelocal_serve.errors import ServeError, error_body
from sagelocal_serve.media_type import JSON

_VARIABLE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request as its WSGI environment, and what its path says."""

    environ: dict[str, Any]
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def method(self) -> str:
        return str(self.environ["REQUEST_METHOD"])

    @property
    def path(self) -> str:
        """The path with its percent signs resolved."""
        return _decoded(self.environ.get("PATH_INFO", ""))

    @property
    def query(self) -> dict[str, str]:
        """The parameters after the question mark; of one that is there twice, the last."""
        text = self.environ.get("QUERY_STRING", "")
        return dict(parse_qsl(text, keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer; a body that is an iterable is streamed and closed if it has a `close`."""

    body: bytes | Iterable[bytes] = b""
    status: int = 200
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of_error(cls, error: ServeError, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
        """The JSON body that all errors have."""
        return cls(
            error_body(error.status, error.kind, error.message), error.status, headers=headers
        )


View = Callable[[Call], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table."""

    method: str
    path: str
    view: View


class NotFound(ServeError):
    """There is nothing at this path."""

    status = 404
    kind = "ResourceNotFoundException"


class MethodNotAllowed(ServeError):
    """There is something at this path, but not for this method."""

    status = 405
    kind = "MethodNotAllowedException"

    def __init__(self, method: str, path: str, allowed: Iterable[str]) -> None:
        super().__init__(f"{method} is not allowed on {path}.")
        self.allowed = ", ".join(sorted(allowed))


class Router:
    """Finds the view of a request; HEAD goes where GET goes."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._fixed: dict[str, dict[str, View]] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], dict[str, View]]] = {}
        for route in routes:
            views = self._views(route.path)
            views[route.method] = route.view
            if route.method == "GET":
                views["HEAD"] = route.view

    def answer(self, environ: dict[str, Any]) -> Reply:
        """The view's reply; raises NotFound, MethodNotAllowed, and what the view raises."""
        views = self._fixed.get(environ.get("PATH_INFO", ""))
        if views is not None:
            call = Call(environ)
        else:
            views, call = self._match(Call(environ))
        view = views.get(call.method)
        if view is None:
            raise MethodNotAllowed(call.method, call.path, views)
        return view(call)

    def _match(self, call: Call) -> tuple[dict[str, View], Call]:
        path = call.path
        for pattern, views in self._patterns.values():
            if found := pattern.fullmatch(path):
                return views, Call(call.environ, found.groupdict())
        raise NotFound(f"There is nothing at {path}. Paths: {', '.join(self._paths())}.")

    def _paths(self) -> list[str]:
        return [*self._fixed, *self._patterns]

    def _views(self, path: str) -> dict[str, View]:
        if not _VARIABLE.search(path):
            return self._fixed.setdefault(path, {})
        if path not in self._patterns:
            expression = _VARIABLE.sub(r"(?P<\1>[^/]+)", path)
            self._patterns[path] = (re.compile(expression), {})
        return self._patterns[path][1]


def _decoded(path: str) -> str:
    """The text of a path that WSGI gives as bytes in latin-1's clothes (PEP 3333)."""
    return path.encode("latin-1", "replace").decode("utf-8", "replace")

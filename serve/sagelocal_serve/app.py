"""The hosting contract as a WSGI application (developer guide: your-algorithms-inference-code).

    GET  /ping                  200 ready, 503 loading, 500 the model could not be loaded
    POST /invocations           the handler's answer, or an error of `errors`
    GET  /execution-parameters  what batch transform should know, 404 if nothing

Three routes do not need a framework, which would cost more than everything else on the way to
the model; any WSGI server runs what `create_app` gives.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from sagelocal_serve.errors import ModelError, ServeError, describe
from sagelocal_serve.hosted import HostedModel
from sagelocal_serve.interface import Handler
from sagelocal_serve.invocation import Invoker
from sagelocal_serve.routing import Call, MethodNotAllowed, NotFound, Reply, Route, Router
from sagelocal_serve.settings import Settings

log = logging.getLogger("sagelocal_serve")

_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
_WITHOUT_BODY = frozenset({204, 304})


def create_app(
    handler: Handler,
    settings: Settings,
    hosted: HostedModel | None = None,
    routes: Iterable[Route] = (),
) -> Application:
    """The application for a handler, with more routes beside its own if they are given.

    Without `hosted` the model is loaded before this returns; the server passes its own, to
    answer health checks while the model loads.
    """
    if hosted is None:
        hosted = HostedModel(handler, settings.model_dir)
        hosted.load()
    return Application([*model_routes(hosted, settings), *routes])


def model_routes(hosted: HostedModel, settings: Settings) -> list[Route]:
    """The three routes over one hosted model."""

    def ping(call: Call) -> Reply:
        if problem := hosted.problem():
            raise problem
        return Reply()

    def execution_parameters(call: Call) -> Reply:
        parameters = hosted.handler.execution_parameters()
        if parameters is None:
            raise NotFound("This container leaves the parameters of batch transform to defaults.")
        return Reply(json.dumps(parameters.to_wire()).encode() + b"\n")

    return [
        Route("GET", "/ping", ping),
        Route("POST", "/invocations", Invoker(hosted, settings)),
        Route("GET", "/execution-parameters", execution_parameters),
    ]


class Application:
    """A WSGI application over a table of routes; every error becomes the JSON body of errors."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._router = Router(routes)

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        reply = self._reply(environ)
        body = reply.body
        headers = [("Content-Type", reply.content_type), *reply.headers]
        if isinstance(body, bytes):
            if reply.status not in _WITHOUT_BODY:
                headers.append(("Content-Length", str(len(body))))
            body = () if environ["REQUEST_METHOD"] == "HEAD" else (body,)
        start_response(_status_line(reply.status), headers)
        return body

    def _reply(self, environ: dict[str, Any]) -> Reply:
        try:
            return self._router.answer(environ)
        except MethodNotAllowed as error:
            return Reply.of_error(error, (("Allow", error.allowed),))
        except ServeError as error:
            return Reply.of_error(error)
        except Exception as error:
            log.exception("A request could not be answered")
            return Reply.of_error(
                ModelError(f"The server failed on this request. {describe(error)}")
            )


def _status_line(status: int) -> str:
    return _STATUS_LINES.get(status) or f"{status} Unknown"

"""The routes of a server of many models.

Bodies as Multi Model Server answers them where clients read them: `{"status": ...}` for what was
done, `{"code", "type", "message"}` for what was not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from sagelocal_serve.app import Application
from sagelocal_serve.errors import BadRequest, describe
from sagelocal_serve.incoming import read_request
from sagelocal_serve.interface import Request
from sagelocal_serve.invocation import reply_of
from sagelocal_serve.multi_model.control import Control
from sagelocal_serve.multi_model.registry import Model, page
from sagelocal_serve.multi_model.relay import Relay
from sagelocal_serve.routing import Call, Reply, Route
from sagelocal_serve.settings import Settings

TARGET_HEADER = "x-amzn-sagemaker-target-model"
OPT_ML = PurePosixPath("/opt/ml")


def create_multi_model_app(folder: Path, settings: Settings) -> Application:
    """The application that answers for the keeper and the models of a folder of sockets."""
    control = Control(folder)
    service = MultiModelService(control, Relay(folder, control), settings)
    return Application(service.routes())


class MultiModelService:
    """The views; any number of processes may have one."""

    def __init__(self, control: Control, relay: Relay, settings: Settings) -> None:
        self._control = control
        self._relay = relay
        self._settings = settings

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/ping", self.ping),
            Route("POST", "/models", self.load),
            Route("GET", "/models", self.list_models),
            Route("GET", "/models/{model_name}", self.describe),
            Route("DELETE", "/models/{model_name}", self.unload),
            Route("POST", "/models/{model_name}/invoke", self.invoke),
            Route("POST", "/invocations", self.invocations),
        ]

    def ping(self, call: Call) -> Reply:
        """200 once models can be loaded, whatever has become of some; raises Unavailable."""
        models, whole = self._control.health()
        health = "Healthy" if whole == models else "Partial Healthy" if whole else "Unhealthy"
        return _document({"status": health})

    def load(self, call: Call) -> Reply:
        """Returns when the model can be called."""
        request = read_request(call.environ, self._settings)
        model = _model_to_load(request, call.query, self._settings)
        self._relay.forget(model.name)
        self._control.load(model)
        return _document({"status": "Workers scaled"})

    def list_models(self, call: Call) -> Reply:
        """A page of what is loaded."""
        asked = call.query
        urls = self._control.urls()
        found = page(urls, asked.get("next_page_token"), _limit(asked.get("limit")))
        models = [{"modelName": name, "modelUrl": urls[name]} for name in found.names]
        token = {"nextPageToken": found.next_token} if found.next_token else {}
        return _document({**token, "models": models})

    def describe(self, call: Call) -> Reply:
        """One loaded model; its memory is what unloading it frees, in bytes."""
        found = self._control.describe(call.variables["model_name"])
        return _document(
            {
                "modelName": found["name"],
                "modelUrl": found["url"],
                "memoryUsage": found["memory_bytes"],
                "workers": found["workers"],
            }
        )

    def unload(self, call: Call) -> Reply:
        """Returns when the model's memory is free."""
        name = call.variables["model_name"]
        self._control.unload(name)
        self._relay.forget(name)
        return _document({"status": f'Model "{name}" unregistered'})

    def invoke(self, call: Call) -> Reply:
        """What the model answers."""
        request = read_request(call.environ, self._settings)
        response = self._relay.call(call.variables["model_name"], request)
        return reply_of(response, response.body)

    def invocations(self, call: Call) -> Reply:
        """A call that names no model."""
        read_request(call.environ, self._settings)
        raise BadRequest(
            "Parameter model_name is required. This server has many models: POST to "
            "/models/NAME/invoke."
        )


def _model_to_load(request: Request, query: Mapping[str, str], settings: Settings) -> Model:
    """From the JSON that SageMaker sends, or from parameters as Multi Model Server takes them."""
    given: dict[str, Any] = dict(query)
    if request.body.strip():
        given |= _object(request.body)
    url = _required(given, "url")
    name = _required(given, "model_name")
    folder = PurePosixPath(url.removeprefix("file://"))
    if "://" in url.removeprefix("file://"):
        raise BadRequest(f"The url {url[:200]!r} is not a folder of this container.")
    if folder.is_relative_to(OPT_ML):
        # Whoever asks knows no SAGEMAKER_BASE_DIR.
        folder = PurePosixPath(settings.base_dir) / folder.relative_to(OPT_ML)
    return Model(name, str(folder), request.headers.get(TARGET_HEADER, ""))


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The body is no JSON. {describe(error)}") from error
    if not isinstance(document, dict):
        raise BadRequest("The body is no JSON object with model_name and url.")
    return document


def _required(given: Mapping[str, Any], parameter: str) -> str:
    value = given.get(parameter)
    if not isinstance(value, str) or not value or "\0" in value:
        raise BadRequest(f"Parameter {parameter} is required.")
    return value


def _limit(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise BadRequest(f"limit {text[:100]!r} is not a number.") from error


def _document(content: dict[str, Any]) -> Reply:
    return Reply(json.dumps(content, indent=2).encode() + b"\n")

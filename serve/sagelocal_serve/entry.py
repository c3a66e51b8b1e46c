"""What SAGEMAKER_SERVING_MODULE="package.module:attribute" names.

def app() -> Handler | WSGI application        a factory
def app(settings) -> Handler | WSGI application    a factory that wants the settings
app = Flask(...)  /  def main(environ, start_response)   a WSGI application, served as it is
app = AlgorithmHandler(...)                    a Handler
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable
from typing import Any, cast

from sagelocal_serve.interface import Handler
from sagelocal_serve.settings import Settings

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class EntryPointError(Exception):
    """SAGEMAKER_SERVING_MODULE names nothing that can be served."""


def resolve(settings: Settings) -> Handler | WsgiApp:
    """The handler or application that the settings name; raises EntryPointError.

    What the module itself raises while it is imported passes through.
    """
    name = settings.serving_module
    target = _attribute(name)
    parameters = None if _is_handler(target) else _required_parameters(target)
    if parameters == 0:
        target = target()
    elif parameters == 1:
        target = target(settings)
    if _is_handler(target):
        return cast(Handler, target)
    if _required_parameters(target) == 2:
        return cast(WsgiApp, target)
    raise EntryPointError(
        f"SAGEMAKER_SERVING_MODULE={name} gives {type(target).__name__!r}, which is neither a "
        "Handler nor a WSGI application. Name a function that returns one of them."
    )


def _attribute(name: str) -> Any:
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as missing:
        if missing.name is None or not f"{module_name}.".startswith(f"{missing.name}."):
            raise  # The module is there; something that it imports is not.
        raise EntryPointError(
            f"SAGEMAKER_SERVING_MODULE={name}: there is no module {missing.name!r} on Python's "
            "path. Install it in the image or set PYTHONPATH."
        ) from missing
    try:
        target: Any = module
        for part in attribute.split("."):
            target = getattr(target, part)
    except AttributeError as missing_attribute:
        raise EntryPointError(
            f"SAGEMAKER_SERVING_MODULE={name}: the module {module_name} has no {attribute!r}."
        ) from missing_attribute
    return target


def _is_handler(target: object) -> bool:
    # A class has all the attributes of its instances, so it would pass for one of them.
    return not isinstance(target, type) and isinstance(target, Handler)


def _required_parameters(target: object) -> int | None:
    """How many values a call must pass by position; None if it cannot be called."""
    if not callable(target):
        return None
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return None
    return sum(
        p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        for p in parameters
    )

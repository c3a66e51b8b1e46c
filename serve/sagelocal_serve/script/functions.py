"""The functions that a script may define, and how they are called.

    model_fn(model_dir)                                          -> model
    input_fn(body, content_type)                                 -> data
    predict_fn(data, model)                                      -> prediction
    output_fn(prediction, accept)                                -> body or (body, content type)
    transform_fn(model, body, content_type, accept)              in place of the last three
    pre_model_fn(model_dir), model_warmup_fn(model_dir, model)   before and after model_fn
    execution_parameters_fn()                                    for batch transform

Each but the last may take one more parameter and then gets a Context (SageMaker Inference
Toolkit, README: "Implement an inference handler").
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from types import ModuleType
from typing import Any

from sagelocal_serve.script.context import Context

Function = Callable[..., Any]

PARAMETERS = {
    "pre_model_fn": ("model_dir",),
    "model_fn": ("model_dir",),
    "model_warmup_fn": ("model_dir", "model"),
    "input_fn": ("body", "content_type"),
    "predict_fn": ("data", "model"),
    "output_fn": ("prediction", "accept"),
    "transform_fn": ("model", "body", "content_type", "accept"),
    "execution_parameters_fn": (),
}


class ScriptError(Exception):
    """The script's functions are not as they must be; the message names script and function."""


@dataclass(frozen=True, slots=True)
class Functions:
    """What a script, or a framework for it, brings. None stands for "not defined"."""

    pre_model_fn: Function | None = None
    model_fn: Function | None = None
    model_warmup_fn: Function | None = None
    input_fn: Function | None = None
    predict_fn: Function | None = None
    output_fn: Function | None = None
    transform_fn: Function | None = None
    execution_parameters_fn: Function | None = None

    @staticmethod
    def of(module: ModuleType) -> Functions:
        """The functions of a user's module; raises ScriptError."""
        found = Functions(**{f.name: getattr(module, f.name, None) for f in fields(Functions)})
        clash = [n for n in ("input_fn", "predict_fn", "output_fn") if getattr(found, n)]
        if found.transform_fn and clash:
            raise ScriptError(
                f"{module.__name__} defines transform_fn and {', '.join(clash)}. transform_fn "
                "stands for all of input_fn, predict_fn and output_fn: define it or them."
            )
        return found

    def over(self, defaults: Functions) -> Functions:
        """These functions, and the defaults for those that are missing."""
        mine = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name)}
        return replace(defaults, **mine)


def with_context(name: str, function: Function) -> Callable[..., Any]:
    """The function as `call(*arguments, context)`, whether or not it asks for the context.

    Raises ScriptError if it takes neither number of parameters.
    """
    expected = PARAMETERS[name]
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise ScriptError(f"{name} is a {type(function).__name__}, not a function.") from error
    if _accepts(signature, len(expected) + 1):
        return function
    if _accepts(signature, len(expected)):
        return lambda *arguments: function(*arguments[:-1])
    raise ScriptError(
        f"{name}{signature} cannot be called: it gets ({', '.join(expected)}) or "
        f"({', '.join((*expected, 'context'))})."
    )


def _accepts(signature: inspect.Signature, count: int) -> bool:
    kinds = [p.kind for p in signature.parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds and count > _positional(signature):
        return False  # def model_fn(*arguments) never asked for a context
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _positional(signature: inspect.Signature) -> int:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in kinds for p in signature.parameters.values())


__all__ = ["Context", "Function", "Functions", "ScriptError", "with_context"]

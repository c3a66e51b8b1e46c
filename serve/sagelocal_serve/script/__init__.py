"""Script mode: the user's inference.py, as SageMaker's framework images run it.

    context       what a function may ask of its request
    functions     which functions there are and how they are called
    location      where the script lies; importing it
    requirements  installing its requirements.txt
    handler       all of it behind the Handler interface

An image for a framework brings its own defaults:

    def app(settings: Settings) -> Handler:
        return ScriptHandler(settings, Functions(model_fn=load_block).over(DEFAULTS))
"""

from __future__ import annotations

from sagelocal_serve.interface import Handler
from sagelocal_serve.script.context import Context
from sagelocal_serve.script.functions import Functions, ScriptError
from sagelocal_serve.script.handler import ScriptHandler
from sagelocal_serve.settings import Settings

try:
    from sagelocal_serve.codecs.defaults import input_fn, output_fn
except ModuleNotFoundError:  # without numpy a script brings these two itself
    DEFAULTS = Functions()
else:
    DEFAULTS = Functions(input_fn=input_fn, output_fn=output_fn)


def app(settings: Settings) -> Handler:
    """The handler of an image that belongs to no framework."""
    return ScriptHandler(settings, DEFAULTS)


__all__ = ["DEFAULTS", "Context", "Functions", "ScriptError", "ScriptHandler", "app"]

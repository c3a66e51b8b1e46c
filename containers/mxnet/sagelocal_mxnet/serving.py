"""Serving in the MXNet image: the user's inference script, and defaults for what it leaves out."""

from __future__ import annotations

from sagelocal_serve import Handler, Settings
from sagelocal_serve.script.functions import Functions
from sagelocal_serve.script.handler import ScriptHandler

from sagelocal_mxnet import inference, models


def app(settings: Settings) -> Handler:
    """The handler that `serve` runs. MXNet's threads do not survive a fork: nothing is shared."""
    defaults = Functions(
        model_fn=models.load,
        input_fn=inference.input_fn,
        predict_fn=inference.predict_fn,
        output_fn=inference.output_fn,
    )
    return ScriptHandler(settings, defaults)

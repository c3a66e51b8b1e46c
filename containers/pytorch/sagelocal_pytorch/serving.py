"""Serving in the PyTorch image: the user's script, and defaults for what it leaves out."""

from __future__ import annotations

from pathlib import Path

from sagelocal_serve import Handler, Settings
from sagelocal_serve.script import Functions, ScriptHandler

from sagelocal_pytorch import inference, models
from sagelocal_pytorch.sources import with_local_source

DEFAULTS = Functions(
    model_fn=models.load,
    input_fn=inference.input_fn,
    predict_fn=inference.predict_fn,
    output_fn=inference.output_fn,
)


def app(settings: Settings) -> Handler:
    """The handler that `serve` runs. PyTorch's threads do not survive a fork: nothing is shared."""
    return PyTorchHandler(settings, DEFAULTS)


class PyTorchHandler(ScriptHandler):
    """Runs a script whose archive may be in S3."""

    def prepare(self, model_dir: Path) -> None:
        """Fetch the script, if it is in S3, and install what it requires."""
        self._settings = with_local_source(self._settings)
        super().prepare(model_dir)

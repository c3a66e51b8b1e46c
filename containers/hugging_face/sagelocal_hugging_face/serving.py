"""Serving in the Hugging Face image: the user's functions, a pipeline where there are none."""

from __future__ import annotations

import logging

from sagelocal_pytorch.serving import PyTorchHandler
from sagelocal_serve import BadRequest, Handler, Request, Response, Settings
from sagelocal_serve.errors import ServeError, describe
from sagelocal_serve.script import Functions

from sagelocal_hugging_face import bodies, pipelines

log = logging.getLogger("sagelocal_serve")

DEFAULTS = Functions(
    model_fn=pipelines.load,
    input_fn=bodies.input_fn,
    predict_fn=pipelines.predict_fn,
    output_fn=bodies.output_fn,
)


def app(settings: Settings) -> Handler:
    """The handler that `serve` runs."""
    return HuggingFaceHandler(settings, DEFAULTS)


class HuggingFaceHandler(PyTorchHandler):
    """Answers 400 to whatever fails in a request, as the Hugging Face inference toolkit does."""

    def handle(self, request: Request) -> Response:
        try:
            return super().handle(request)
        except ServeError:
            raise
        except Exception as error:
            log.exception("A request failed")
            raise BadRequest(describe(error)) from error

"""What a container needs to honour the SageMaker hosting contract.

A built-in algorithm subclasses `Algorithm` and exposes a function that returns an
`AlgorithmHandler`; `SAGEMAKER_SERVING_MODULE` names that function and the console script `serve`
does the rest. `sagelocal_serve.codecs` turns bytes into arrays and back and needs numpy (the
extra "numeric"); nothing else here does.
"""

from sagelocal_serve.algorithm import Algorithm, AlgorithmHandler
from sagelocal_serve.app import create_app
from sagelocal_serve.errors import (
    BadRequest,
    ModelError,
    NotAcceptable,
    PayloadTooLarge,
    ServeError,
    Unavailable,
    UnsupportedMediaType,
)
from sagelocal_serve.interface import ExecutionParameters, Handler, Request, Response
from sagelocal_serve.media_type import Accept, MediaType
from sagelocal_serve.settings import Settings

__all__ = [
    "Accept",
    "Algorithm",
    "AlgorithmHandler",
    "BadRequest",
    "ExecutionParameters",
    "Handler",
    "MediaType",
    "ModelError",
    "NotAcceptable",
    "PayloadTooLarge",
    "Request",
    "Response",
    "ServeError",
    "Settings",
    "Unavailable",
    "UnsupportedMediaType",
    "create_app",
]

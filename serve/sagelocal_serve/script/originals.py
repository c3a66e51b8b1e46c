"""What scripts raise and answer with that belongs to the libraries of the original containers.

    sagemaker_inference.errors    GenericInferenceToolkitError(422, "no face in the picture")
    sagemaker_containers          errors.UnsupportedFormatError(content_type)
    mms.service                   PredictionException("no face in the picture", 422)
    flask, sagemaker_containers   Response(body, mimetype="text/csv")

They are known by their names and shapes, not by an import: those of the image's own modules of
these names (containers/originals) count as those of a library that the script brings.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from sagelocal_serve.errors import (
    BadRequest,
    NotAcceptable,
    PayloadTooLarge,
    ServeError,
    Unavailable,
    UnsupportedMediaType,
)
from sagelocal_serve.interface import Response
from sagelocal_serve.media_type import MediaType
from sagelocal_serve.script.context import CUSTOM_ATTRIBUTES

log = logging.getLogger("sagelocal_serve")

_KINDS = {
    error.status: error.kind
    for error in (BadRequest, NotAcceptable, PayloadTooLarge, UnsupportedMediaType, Unavailable)
}
# By the name of the class, or of one that it is derived from: the attribute with the status.
_WITH_STATUS = {"BaseInferenceToolkitError": "status_code", "PredictionException": "error_code"}
_UNSUPPORTED = "UnsupportedFormatError"


class ChosenStatus(ServeError):
    """The status that the script wants its caller to see."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = _KINDS.get(status, BadRequest.kind if status < 500 else ServeError.kind)


def with_chosen_status(
    function: Callable[..., Any], unsupported: type[ServeError]
) -> Callable[..., Any]:
    """The function; an error that chooses a status is raised as the ServeError of that status.

    `unsupported` stands for the originals' UnsupportedFormatError, which does not say whether it
    is the request's format or the answer's.
    """

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except ServeError:
            raise
        except Exception as error:
            chosen = _chosen(error, unsupported)
            if chosen is None:
                raise
            if chosen.status >= 500:
                log.exception("The script answers with status %d", chosen.status)
            raise chosen from error

    return call


def _chosen(error: Exception, unsupported: type[ServeError]) -> ServeError | None:
    names = {each.__name__ for each in type(error).__mro__}
    if _UNSUPPORTED in names:
        return unsupported(str(error).partition("\n")[0])
    for name, attribute in _WITH_STATUS.items():
        status = getattr(error, attribute, None) if name in names else None
        if isinstance(status, int) and 200 <= status <= 599:
            return ChosenStatus(int(status), str(getattr(error, "message", error)))
    return None


def is_response(result: object) -> bool:
    """Whether a script answers with a response of flask or werkzeug."""
    return all(hasattr(result, name) for name in ("get_data", "iter_encoded", "status_code"))


def response_of(result: Any) -> Response:
    """That response as ours; one that is a generator is streamed."""
    streamed = getattr(result, "is_streamed", False)
    return Response(
        body=result.iter_encoded() if streamed else result.get_data(),
        content_type=MediaType.parse(result.content_type or "application/octet-stream"),
        custom_attributes=result.headers.get(CUSTOM_ATTRIBUTES, ""),
        status=result.status_code,
    )

"""`Response(body, mimetype=...)`: what an output_fn of the older images answers with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus

from werkzeug import wrappers

from sagemaker_containers import _content_types


class Response(wrappers.Response):
    """A body with its media type and status; `accept` has no meaning any more."""

    default_mimetype = _content_types.JSON

    def __init__(
        self,
        response: str | bytes | Iterable[str] | Iterable[bytes] | None = None,
        accept: str | None = None,
        status: int | HTTPStatus = HTTPStatus.OK,
        headers: Mapping[str, str] | None = None,
        mimetype: str | None = None,
        direct_passthrough: bool = False,
    ) -> None:
        super().__init__(response, status, headers, mimetype, None, direct_passthrough)

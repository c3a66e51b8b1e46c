"""What can go wrong with a request, and the one JSON body that says so.

    ServeError
    ├── BadRequest            400  the body does not say what its Content-Type promises
    ├── NotAcceptable         406  no format in the Accept list can be written
    ├── PayloadTooLarge       413  more bytes than the server takes
    ├── UnsupportedMediaType  415  a Content-Type that nobody here reads
    ├── ModelError            500  the model, or the code around it, failed
    └── Unavailable           503  still loading, or more requests waiting than allowed

The body is `{"code", "type", "message"}`, the shape that Multi Model Server gave and clients of
hosted models read. It never holds a stack trace, a path or HTML: those belong in the log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

MESSAGE_LIMIT = 500

# An absolute path, unless it is the tail of a word (text/csv) or of a URL (http://host/path).
_PATH = re.compile(r"(?<![\w:/.\\])(?:[A-Za-z]:)?(?:[\\/][\w.@+~ -]*[\w.@+~-])+[\\/]?")


class ServeError(Exception):
    """An error with an HTTP status; its message is meant for the caller."""

    status: int = 500
    kind: str = "InternalServerException"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(ServeError):
    """The caller's body cannot be understood: says where, what was found, what was expected."""

    status = 400
    kind = "BadRequestException"


class NotAcceptable(ServeError):
    """The caller accepts only formats that cannot be written."""

    status = 406
    kind = "NotAcceptableException"

    @classmethod
    def of(cls, accept: object, offers: Iterable[str]) -> NotAcceptable:
        """The usual wording: what was asked for, and what there is."""
        return cls(f"Accept {str(accept)!r} cannot be satisfied. Available: {', '.join(offers)}.")


class PayloadTooLarge(ServeError):
    """More bytes than the server takes."""

    status = 413
    kind = "RequestEntityTooLargeException"


class UnsupportedMediaType(ServeError):
    """The caller's Content-Type is read by nobody here."""

    status = 415
    kind = "UnsupportedMediaTypeException"

    @classmethod
    def of(cls, content_type: object, known: Iterable[str]) -> UnsupportedMediaType:
        """The usual wording: what was sent, and what is read."""
        return cls(
            f"Content-Type {str(content_type)!r} is not supported. Supported: {', '.join(known)}."
        )


class ModelError(ServeError):
    """The model failed on a request that may well be right; the log has the details."""


class Unavailable(ServeError):
    """Not now: the model is loading, or too many requests are waiting."""

    status = 503
    kind = "ServiceUnavailableException"


def error_body(status: int, kind: str, message: str) -> bytes:
    """The JSON body of every error, one line with a newline at its end."""
    text = json.dumps({"code": status, "type": kind, "message": message})
    return text.encode() + b"\n"


def describe(error: BaseException) -> str:
    """An exception of somebody else's code in one short line without paths.

    `FileNotFoundError: [Errno 2] No such file or directory: 'weights.npy'`
    """
    first_line = str(error).strip().partition("\n")[0]
    name = type(error).__name__
    text = f"{name}: {_without_folders(first_line)}" if first_line else name
    return text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 1] + "…"


def _without_folders(text: str) -> str:
    return _PATH.sub(lambda match: re.split(r"[\\/]", match[0].rstrip("\\/"))[-1], text)

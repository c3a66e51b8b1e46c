"""The one exception that services raise to answer a client with an AWS error.

The gateway serialises it in the protocol of the service that was called. `code` is the AWS error
code a client switches on (`ValidationException`, `NoSuchKey`, `ResourceNotFound`, ...).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


class Fault(Exception):
    """An error that the client caused or must be told of, in AWS's shape.

    `members` are further members of the error's shape (`OriginalStatusCode` of ModelError, `Key` of
    NoSuchKey); `headers` go out with the response.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int = 400,
        members: Mapping[str, Any] = MappingProxyType({}),
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.members = members
        self.headers = headers

    def __repr__(self) -> str:
        return f"Fault({self.code!r}, {self.message!r}, status={self.status})"


def validation(message: str) -> Fault:
    """SageMaker's answer to a request it cannot accept (400 ValidationException)."""
    return Fault("ValidationException", message)


def malformed_xml() -> Fault:
    """S3's answer to a body that does not fit its schema."""
    return Fault(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )

"""What a service function gets and gives.

An operation is a plain function `(plane, call, params) -> result`. `params` is the request, already
parsed and validated by the shapes of botocore's service model; `result` is a mapping in the shape
of the operation's output (members that are unset are left out, never empty). A refused request
raises `Fault`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sagelocal.domain.names import Scope
from sagelocal.protocol.http import Headers

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

Params = Mapping[str, Any]
Result = Mapping[str, Any]


@dataclass(frozen=True)
class Call:
    """Who asks for what: the context of one request.

    `base_url` is the address the client reached us at, `http://127.0.0.1:4570`; `query` is the raw
    query string, where presigned requests carry their signature.
    """

    service: str
    operation: str
    scope: Scope
    request_id: str
    base_url: str
    access_key: str | None = None
    headers: Headers = field(default_factory=Headers)
    query: str = ""


Operation = Callable[["Plane", Call, Params], Result]
OperationTable = Mapping[tuple[str, str], Operation]

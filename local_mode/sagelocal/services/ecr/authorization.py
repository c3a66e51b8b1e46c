"""The token of `docker login`, and how long it is good for."""

from __future__ import annotations

import base64
import secrets
import time
from typing import TYPE_CHECKING

from sagelocal.services.calls import Call, OperationTable, Params, Result
from sagelocal.services.ecr.found import registry_url
from sagelocal.store.registry import USER

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

# "Authorization tokens are valid for 12 hours" (ECR user guide, Private registry authentication).
_TOKEN_SECONDS = 12 * 3600


def _get_authorization_token(plane: Plane, call: Call, params: Params) -> Result:
    expires = time.time() + _TOKEN_SECONDS
    return {
        "authorizationData": [
            {
                "authorizationToken": _token(plane),
                "expiresAt": expires,
                "proxyEndpoint": registry_url(plane, call, registry),
            }
            for registry in params.get("registryIds") or [call.scope.account]
        ]
    }


def _token(plane: Plane) -> str:
    """User and password in base64: the registry's own password, where it asks for one.

    The SageMaker SDK takes the user off by stripping the letters A, W, S and the colon from both
    ends, so a password must neither begin nor end with one; hexadecimal digits have none of them.
    """
    password = plane.registry.password if plane.registry else None
    return base64.b64encode(f"{USER}:{password or secrets.token_hex(32)}".encode()).decode()


OPERATIONS: OperationTable = {("ecr", "GetAuthorizationToken"): _get_authorization_token}

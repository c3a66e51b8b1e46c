"""Who owns what: one account has everything, with full control."""

from __future__ import annotations

import hashlib
from typing import Any

from sagelocal.domain.names import Scope


def owner(scope: Scope) -> dict[str, str]:
    """The owner of every bucket and object; S3 names accounts by 64 hexadecimal digits."""
    return {"ID": hashlib.sha256(scope.account.encode()).hexdigest()}


def access_control(scope: Scope) -> dict[str, Any]:
    """The one access control list there is."""
    return {
        "Owner": owner(scope),
        "Grants": [
            {
                "Grantee": {**owner(scope), "Type": "CanonicalUser"},
                "Permission": "FULL_CONTROL",
            }
        ],
    }

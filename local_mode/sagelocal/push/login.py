"""Who a registry of ECR is asked as: GetAuthorizationToken."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

from sagelocal.account import Account


@dataclass(frozen=True)
class Login:
    """Who a registry is asked as, and where it is: HOST[:PORT]."""

    host: str
    user: str
    password: str = field(repr=False)


def login(account: Account) -> Login:
    """Raises CloudError."""
    answer = account.call("ecr", "get_authorization_token")["authorizationData"][0]
    token = base64.b64decode(answer["authorizationToken"]).decode()
    user, _, password = token.partition(":")
    return Login(answer["proxyEndpoint"].partition("://")[2], user, password)

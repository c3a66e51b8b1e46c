"""STS: who am I, and temporary credentials.

Nothing is signed or checked here; any credentials are accepted. Whoever calls appears to have
assumed the role of the settings, and one who called AssumeRole the role that was asked for: the
session token, which clients send with every request, says which.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sagelocal.protocol.faults import Fault
from sagelocal.services.calls import Call, OperationTable, Params, Result

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

SESSION_NAME = "SageMaker"

# STS API Reference: AssumeRole 1 hour, GetSessionToken 12 hours unless told otherwise.
_ROLE_SECONDS = 3600
_SESSION_SECONDS = 43200

_ROLE_ARN = re.compile(r"arn:(?P<partition>[\w-]+):iam::(?P<account>\d{12}):role/(?P<path>.+)")


@dataclass(frozen=True)
class Principal:
    """A role that somebody assumed."""

    account: str
    role: str
    session: str

    @property
    def arn(self) -> str:
        return f"arn:aws:sts::{self.account}:assumed-role/{self.role}/{self.session}"

    @property
    def user_id(self) -> str:
        return f"{role_id(self.role)}:{self.session}"

    def token(self) -> str:
        """A session token that says who this is."""
        document = json.dumps([self.account, self.role, self.session, secrets.token_hex(16)])
        return base64.b64encode(document.encode()).decode()

    @classmethod
    def of_token(cls, token: str) -> Principal | None:
        """Whom a session token of ours stands for; None for any other text."""
        try:
            account, role, session, _ = json.loads(base64.b64decode(token, validate=True))
        except (binascii.Error, ValueError, TypeError):
            return None
        return cls(str(account), str(role), str(session))


def caller(plane: Plane, call: Call) -> Principal:
    """Who calls."""
    known = Principal.of_token(call.headers.get("x-amz-security-token", ""))
    return known or Principal(call.scope.account, plane.settings.role, SESSION_NAME)


def role_id(name: str) -> str:
    """The id of a role, the same every time, in IAM's form (`AROA` and 17 letters or digits)."""
    return "AROA" + base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()[:17]


def _get_caller_identity(plane: Plane, call: Call, params: Params) -> Result:
    who = caller(plane, call)
    return {"UserId": who.user_id, "Account": who.account, "Arn": who.arn}


def _assume_role(plane: Plane, call: Call, params: Params) -> Result:
    arn = params["RoleArn"]
    found = _ROLE_ARN.fullmatch(arn)
    if not found:
        raise Fault(
            "ValidationError", f"{arn} is invalid: a role is arn:aws:iam::ACCOUNT:role/NAME"
        )
    role = found["path"].rpartition("/")[2]
    who = Principal(found["account"], role, params["RoleSessionName"])
    return {
        "Credentials": _credentials(who, params.get("DurationSeconds", _ROLE_SECONDS)),
        "AssumedRoleUser": {"AssumedRoleId": who.user_id, "Arn": who.arn},
    }


def _get_session_token(plane: Plane, call: Call, params: Params) -> Result:
    seconds = params.get("DurationSeconds", _SESSION_SECONDS)
    return {"Credentials": _credentials(caller(plane, call), seconds)}


def _get_access_key_info(plane: Plane, call: Call, params: Params) -> Result:
    return {"Account": call.scope.account}


def _credentials(who: Principal, seconds: int) -> Result:
    return {
        "AccessKeyId": "ASIA" + base64.b32encode(secrets.token_bytes(10)).decode(),
        "SecretAccessKey": secrets.token_urlsafe(30),
        "SessionToken": who.token(),
        "Expiration": time.time() + seconds,
    }


OPERATIONS: OperationTable = {
    ("sts", "GetCallerIdentity"): _get_caller_identity,
    ("sts", "AssumeRole"): _assume_role,
    ("sts", "GetSessionToken"): _get_session_token,
    ("sts", "GetAccessKeyInfo"): _get_access_key_info,
}

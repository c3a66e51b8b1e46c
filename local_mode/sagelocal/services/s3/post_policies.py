"""Uploads by an HTML form: whether their policy allows them.

A policy says until when a form may be sent, and what its fields may be. Its signature cannot be
verified, because any secret key is accepted here; what it promises is held, so that a form that
would be refused in the cloud is refused here as well.

Source: Amazon S3 API Reference, "POST Object" and "Creating a POST Policy".
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sagelocal.protocol.faults import Fault
from sagelocal.services.s3.faults import invalid_argument

Fields = Mapping[str, str]

_VERSION_4 = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Signature")
_VERSION_2 = ("AWSAccessKeyId", "Signature")
# Fields that a policy need not allow.
_FREE = ("policy", "x-amz-signature", "signature", "awsaccesskeyid", "bucket")


@dataclass(frozen=True)
class SizeRange:
    """How many bytes a policy allows the file to have."""

    least: int
    most: int

    def check(self, size: int) -> None:
        """Raise the Fault for a file of another size."""
        if size > self.most:
            raise Fault(
                "EntityTooLarge",
                "Your proposed upload exceeds the maximum allowed size",
                members={"ProposedSize": size, "MaxSizeAllowed": self.most},
            )
        if size < self.least:
            raise Fault(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
                members={"ProposedSize": size, "MinSizeAllowed": self.least},
            )


def missing_field(name: str) -> Fault:
    return invalid_argument(
        f"Bucket POST must contain a field named '{name}'.  If it is specified, please check the "
        "order of the fields.",
        name,
        "",
    )


def check_policy(bucket: str, fields: Fields, now: float) -> Sequence[SizeRange]:
    """Raise the Fault of the first thing that the form's policy does not allow.

    `fields` are by name in lower case; `now` is seconds since 1970. The sizes that the policy
    allows are left to check. A form without a policy passes, as an unsigned request does.
    """
    if "policy" not in fields:
        return ()
    signed = _VERSION_2 if "awsaccesskeyid" in fields else _VERSION_4
    for name in signed:
        if not fields.get(name.lower()):
            raise missing_field(name)
    policy = _decoded(fields["policy"])
    if _expiration(policy.get("expiration")) < now:
        raise _denied("Policy expired.")
    conditions = policy.get("conditions")
    if not isinstance(conditions, list):
        raise _invalid("'conditions' must be a list")
    allowed = set(_FREE)
    ranges = []
    for condition in conditions:
        found = _check(condition, {**fields, "bucket": bucket})
        if isinstance(found, SizeRange):
            ranges.append(found)
        else:
            allowed.add(found)
    extra = [n for n in fields if n not in allowed and not n.startswith("x-ignore-")]
    if extra:
        raise _denied(f"Extra input fields: {', '.join(sorted(extra))}")
    return ranges


def _decoded(text: str) -> dict[str, Any]:
    try:
        document = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        raise _invalid("Invalid JSON.") from error
    if not isinstance(document, dict):
        raise _invalid("Invalid JSON.")
    return document


def _expiration(text: Any) -> float:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError as error:
        raise _invalid(f"Invalid 'expiration' value: '{text}'") from error


def _check(condition: Any, fields: Fields) -> str | SizeRange:
    """The field that a condition is about, or the sizes it allows. Raises Fault."""
    if isinstance(condition, dict) and len(condition) == 1:
        ((name, value),) = condition.items()
        condition = ["eq", f"${name}", value]
    match condition:
        case [str(kind), int(least), int(most)] if kind.lower() == "content-length-range":
            return SizeRange(least, most)
        case [str(kind), str(field), str(value)] if field.startswith("$"):
            name = field[1:].lower()
            given = fields.get(name, "")
            holds = {"eq": given == value, "starts-with": given.startswith(value)}
            if kind.lower() in holds:
                if not holds[kind.lower()]:
                    raise _denied(f"Policy Condition failed: {json.dumps(condition)}")
                return name
    raise _invalid(f"Invalid Condition: {json.dumps(condition)}")


def _denied(reason: str) -> Fault:
    return Fault("AccessDenied", f"Invalid according to Policy: {reason}", status=403)


def _invalid(reason: str) -> Fault:
    return Fault("InvalidPolicyDocument", f"Invalid Policy: {reason}")

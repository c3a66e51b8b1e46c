"""Repository and lifecycle policies: kept and given back; nothing here enforces them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from sagelocal.protocol.faults import Fault
from sagelocal.services.calls import Call, OperationTable, Params, Result
from sagelocal.services.ecr.found import Found, change, require

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane


def set_repository_policy(plane: Plane, call: Call, params: Params) -> Result:
    """Keep who may use the repository."""
    text = _json(params, "policyText")
    if not isinstance(json.loads(text), dict):
        raise Fault(
            "InvalidParameterException",
            "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository "
            "policy provided'",
        )
    return _policy(change(plane, call, params, lambda old: replace(old, policy=text)))


def get_repository_policy(plane: Plane, call: Call, params: Params) -> Result:
    """The policy that was set. Raises Fault if none was."""
    return _policy(require(plane, call, params))


def delete_repository_policy(plane: Plane, call: Call, params: Params) -> Result:
    """Forget the policy; what it was."""
    told = get_repository_policy(plane, call, params)
    change(plane, call, params, lambda old: replace(old, policy=None))
    return told


def put_lifecycle_policy(plane: Plane, call: Call, params: Params) -> Result:
    """Keep when images shall expire; none does here."""
    text = _json(params, "lifecyclePolicyText")
    return _lifecycle(change(plane, call, params, lambda old: replace(old, lifecycle_policy=text)))


def get_lifecycle_policy(plane: Plane, call: Call, params: Params) -> Result:
    """The lifecycle policy that was put. Raises Fault if none was."""
    return _lifecycle(require(plane, call, params))


def delete_lifecycle_policy(plane: Plane, call: Call, params: Params) -> Result:
    """Forget the lifecycle policy; what it was."""
    told = get_lifecycle_policy(plane, call, params)
    change(plane, call, params, lambda old: replace(old, lifecycle_policy=None))
    return told


def _json(params: Params, member: str) -> str:
    text: str = params[member]
    try:
        json.loads(text)
    except ValueError as error:
        raise Fault(
            "InvalidParameterException",
            f"Invalid parameter at '{member}' failed to satisfy constraint: "
            f"'Invalid JSON: {error}'",
        ) from error
    return text


def _policy(found: Found) -> Result:
    if found.content.policy is None:
        raise _absent("RepositoryPolicyNotFoundException", "Repository policy", found)
    return _told(found, "policyText", found.content.policy)


def _lifecycle(found: Found) -> Result:
    if found.content.lifecycle_policy is None:
        raise _absent("LifecyclePolicyNotFoundException", "Lifecycle policy", found)
    return _told(found, "lifecyclePolicyText", found.content.lifecycle_policy)


def _told(found: Found, member: str, text: str) -> Result:
    return {"registryId": found.registry, "repositoryName": found.name, member: text}


def _absent(code: str, what: str, found: Found) -> Fault:
    return Fault(
        code,
        f"{what} does not exist for the repository with name '{found.name}' in the registry with "
        f"id '{found.registry}'",
    )


OPERATIONS: OperationTable = {
    ("ecr", "SetRepositoryPolicy"): set_repository_policy,
    ("ecr", "GetRepositoryPolicy"): get_repository_policy,
    ("ecr", "DeleteRepositoryPolicy"): delete_repository_policy,
    ("ecr", "PutLifecyclePolicy"): put_lifecycle_policy,
    ("ecr", "GetLifecyclePolicy"): get_lifecycle_policy,
    ("ecr", "DeleteLifecyclePolicy"): delete_lifecycle_policy,
}

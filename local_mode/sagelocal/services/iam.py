"""IAM: what clients ask to find their role and whether it may do what they are about to do.

Every role exists, because a job here runs as the user who started the plane whatever role it names;
everything is allowed. Users do not exist: callers have assumed a role.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

from sagelocal.protocol.faults import Fault
from sagelocal.services.calls import Call, OperationTable, Params, Result
from sagelocal.services.sts import role_id

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

# Roles that the console makes for SageMaker are below this path, and clients rely on it.
_CONSOLE_ROLE = "AmazonSageMaker-ExecutionRole"
_SERVICE_PATH = "/service-role/"

# Roles have been there since before SageMaker (29 November 2017): no job is older than its role.
_CREATED = 1_511_913_600

_POLICY = "AmazonSageMakerFullAccess"
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def _role(account: str, name: str) -> Result:
    path = _SERVICE_PATH if name.startswith(_CONSOLE_ROLE) else "/"
    return {
        "Path": path,
        "RoleName": name,
        "RoleId": role_id(name),
        "Arn": f"arn:aws:iam::{account}:role{path}{name}",
        "CreateDate": _CREATED,
        "AssumeRolePolicyDocument": quote(json.dumps(_TRUST)),
        "MaxSessionDuration": 3600,
    }


def _get_role(plane: Plane, call: Call, params: Params) -> Result:
    return {"Role": _role(call.scope.account, params["RoleName"])}


def _list_roles(plane: Plane, call: Call, params: Params) -> Result:
    """The role that callers have assumed; of all the others nobody has said the name."""
    role = _role(call.scope.account, plane.settings.role)
    roles = [role] if role["Path"].startswith(params.get("PathPrefix", "/")) else []
    return {"Roles": roles, "IsTruncated": False}


def _list_attached_role_policies(plane: Plane, call: Call, params: Params) -> Result:
    policy = {"PolicyName": _POLICY, "PolicyArn": f"arn:aws:iam::aws:policy/{_POLICY}"}
    return {"AttachedPolicies": [policy], "IsTruncated": False}


def _list_role_policies(plane: Plane, call: Call, params: Params) -> Result:
    return {"PolicyNames": [], "IsTruncated": False}


def _simulate_principal_policy(plane: Plane, call: Call, params: Params) -> Result:
    results = [
        {
            "EvalActionName": action,
            "EvalResourceName": resource,
            "EvalDecision": "allowed",
            "MatchedStatements": [],
            "MissingContextValues": [],
        }
        for action in params["ActionNames"]
        for resource in params.get("ResourceArns", ["*"])
    ]
    return {"EvaluationResults": results, "IsTruncated": False}


def _get_user(plane: Plane, call: Call, params: Params) -> Result:
    name = params.get("UserName")
    if name is None:
        raise Fault(
            "ValidationError", "Must specify userName when calling with non-User credentials"
        )
    raise Fault("NoSuchEntity", f"The user with name {name} cannot be found.", status=404)


OPERATIONS: OperationTable = {
    ("iam", "GetRole"): _get_role,
    ("iam", "ListRoles"): _list_roles,
    ("iam", "ListAttachedRolePolicies"): _list_attached_role_policies,
    ("iam", "ListRolePolicies"): _list_role_policies,
    ("iam", "SimulatePrincipalPolicy"): _simulate_principal_policy,
    ("iam", "GetUser"): _get_user,
}

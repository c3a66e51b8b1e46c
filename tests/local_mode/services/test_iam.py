"""Roles as clients look for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.mark.parametrize(
    ("name", "arn"),
    [
        ("Anything", "arn:aws:iam::000000000000:role/Anything"),
        (
            "AmazonSageMaker-ExecutionRole-20260101T000000",
            "arn:aws:iam::000000000000:role/service-role/"
            "AmazonSageMaker-ExecutionRole-20260101T000000",
        ),
    ],
)
def test_every_role_exists_where_the_console_makes_it(
    aws: Callable[..., Any], name: str, arn: str
) -> None:
    role = aws("iam").get_role(RoleName=name)["Role"]
    assert role["Arn"] == arn
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {
        "Service": "sagemaker.amazonaws.com"
    }


def test_the_role_of_the_settings_is_listed(aws: Callable[..., Any]) -> None:
    iam = aws("iam")
    assert [r["RoleName"] for r in iam.list_roles()["Roles"]] == ["SageLocalExecutionRole"]
    assert iam.list_roles(PathPrefix="/service-role/")["Roles"] == []


def test_a_role_has_the_policy_of_sagemaker(aws: Callable[..., Any]) -> None:
    iam = aws("iam")
    attached = iam.list_attached_role_policies(RoleName="r")["AttachedPolicies"]
    assert [policy["PolicyName"] for policy in attached] == ["AmazonSageMakerFullAccess"]
    assert iam.list_role_policies(RoleName="r")["PolicyNames"] == []


def test_everything_is_allowed(aws: Callable[..., Any]) -> None:
    results = aws("iam").simulate_principal_policy(
        PolicySourceArn="arn:aws:iam::000000000000:role/r",
        ActionNames=["s3:GetObject", "sagemaker:CreateModel"],
        ResourceArns=["arn:aws:s3:::a", "arn:aws:s3:::b"],
    )["EvaluationResults"]
    assert [(r["EvalActionName"], r["EvalResourceName"], r["EvalDecision"]) for r in results] == [
        ("s3:GetObject", "arn:aws:s3:::a", "allowed"),
        ("s3:GetObject", "arn:aws:s3:::b", "allowed"),
        ("sagemaker:CreateModel", "arn:aws:s3:::a", "allowed"),
        ("sagemaker:CreateModel", "arn:aws:s3:::b", "allowed"),
    ]


def test_there_are_no_users(aws: Callable[..., Any]) -> None:
    iam = aws("iam")
    with pytest.raises(iam.exceptions.NoSuchEntityException, match="user with name me"):
        iam.get_user(UserName="me")
    with pytest.raises(ClientError, match="Must specify userName"):
        iam.get_user()

"""Who boto3's clients find themselves to be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::123456789012:role/team/Trainer"


def client_with(credentials: dict[str, Any], url: str) -> Any:
    return boto3.client(
        "sts",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )


def test_a_caller_has_assumed_the_role_of_the_settings(start_plane: Callable[..., Any]) -> None:
    plane = start_plane(role="MyRole", account="123456789012")
    identity = plane.client("sts").get_caller_identity()
    assert identity["Arn"] == "arn:aws:sts::123456789012:assumed-role/MyRole/SageMaker"
    assert identity["Account"] == "123456789012"
    assert identity["UserId"].startswith("AROA")


def test_an_assumed_role_is_who_its_credentials_are_even_after_a_restart(plane: Any) -> None:
    answer = plane.client("sts").assume_role(
        RoleArn=ROLE, RoleSessionName="me", DurationSeconds=900
    )
    assert answer["AssumedRoleUser"]["Arn"] == "arn:aws:sts::123456789012:assumed-role/Trainer/me"
    left = answer["Credentials"]["Expiration"] - datetime.now(UTC)
    assert timedelta(seconds=890) < left <= timedelta(seconds=900)
    plane.restart()
    identity = client_with(answer["Credentials"], plane.url).get_caller_identity()
    assert identity["Arn"] == answer["AssumedRoleUser"]["Arn"]
    assert identity["UserId"] == answer["AssumedRoleUser"]["AssumedRoleId"]


def test_session_credentials_are_of_the_same_caller(plane: Any) -> None:
    sts = plane.client("sts")
    identity = client_with(sts.get_session_token()["Credentials"], plane.url).get_caller_identity()
    assert identity["Arn"] == sts.get_caller_identity()["Arn"]


def test_a_key_belongs_to_the_account(aws: Callable[..., Any]) -> None:
    answer = aws("sts").get_access_key_info(AccessKeyId="ASIAIOSFODNN7EXAMPLE")
    assert answer["Account"] == "000000000000"


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (
            {"RoleArn": "arn:aws:iam::123456789012:user/M", "RoleSessionName": "me"},
            "arn:aws:iam::123456789012:user/M is invalid: a role is arn:aws:iam::ACCOUNT:role/NAME",
        ),
        (
            {"RoleArn": ROLE, "RoleSessionName": "me", "DurationSeconds": 60},
            "1 validation error detected: Value '60' at 'durationSeconds' failed to satisfy "
            "constraint: Member must have value greater than or equal to 900",
        ),
    ],
)
def test_what_no_role_can_be_assumed_with(
    aws: Callable[..., Any], parameters: dict[str, Any], text: str
) -> None:
    with pytest.raises(ClientError) as caught:
        aws("sts", parameter_validation=False).assume_role(**parameters)
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert caught.value.response["Error"]["Message"] == text

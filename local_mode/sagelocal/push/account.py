"""ECR by the caller's own credentials, region and endpoint, found as boto3 finds them."""

from __future__ import annotations

import base64
import contextlib
import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import botocore.session
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)

from sagelocal.push.faults import PushError

# What a push asks of a role (ECR user guide, "IAM permissions for pushing an image").
_PERMISSIONS = (
    "ecr:GetAuthorizationToken, ecr:CreateRepository, ecr:DescribeRepositories, "
    "ecr:DescribeImages, ecr:BatchGetImage, ecr:BatchCheckLayerAvailability, "
    "ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload and ecr:PutImage"
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_UNKNOWN = frozenset(
    {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException"}
)


@dataclass(frozen=True)
class Login:
    """Who a registry is asked as, and where it is: HOST[:PORT]."""

    host: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Account:
    """ECR in one region."""

    region: str
    ecr: Any

    def login(self) -> Login:
        """By GetAuthorizationToken. Raises PushError."""
        with aws_errors(self.region):
            answer = self.ecr.get_authorization_token()["authorizationData"][0]
        token = base64.b64decode(answer["authorizationToken"]).decode()
        user, _, password = token.partition(":")
        return Login(answer["proxyEndpoint"].partition("://")[2], user, password)


def open_account(region: str | None, profile: str | None) -> Account:
    """The account of a profile or of the environment. Raises PushError."""
    try:
        session = botocore.session.Session(profile=profile)
        wanted = region or session.get_config_variable("region")
        credentials = session.get_credentials()
    except ProfileNotFound as error:
        known = ", ".join(botocore.session.Session().available_profiles) or "none"
        raise PushError(
            f"There is no profile {profile or error.kwargs.get('profile')!r} in your AWS "
            f"configuration; it has: {known}. Give one of them with --profile."
        ) from error
    if not wanted:
        raise PushError(
            "No region is set. Give --region, set AWS_DEFAULT_REGION, or run `aws configure`."
        )
    _refuse_unknown(session, wanted)
    if credentials is None:
        raise PushError(
            "No AWS credentials were found. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, give "
            "--profile, or run `aws configure`; `sagelocal exec -- sagelocal push ...` pushes to "
            "the control plane here."
        )
    with aws_errors(wanted):
        return Account(wanted, session.create_client("ecr", region_name=wanted))


def _refuse_unknown(session: botocore.session.Session, region: str) -> None:
    known = [
        each
        for partition in session.get_available_partitions()
        for each in session.get_available_regions("ecr", partition_name=partition)
    ]
    if region in known:
        return
    near = difflib.get_close_matches(region, known, n=1)
    meant = f"Did you mean {near[0]!r}? " if near else ""
    raise PushError(
        f"There is no region {region!r} with ECR. {meant}Give one with --region (regions that are "
        "newer than this botocore come with a newer one)."
    )


@contextlib.contextmanager
def aws_errors(region: str) -> Iterator[None]:
    """Turn what AWS and its client say into PushError."""
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise PushError(f"Your AWS credentials are incomplete: {error} Run `aws configure`.") from (
            error
        )
    except EndpointConnectionError as error:
        raise PushError(
            f"Nothing answers for ECR in {region}: {error} Is there a way to the network, and is "
            "AWS_ENDPOINT_URL right, if it is set?"
        ) from error
    except ClientError as error:
        raise PushError(_refusal(error, region)) from error
    except BotoCoreError as error:
        raise PushError(f"ECR in {region} could not be asked: {error}") from error


def _refusal(error: ClientError, region: str) -> str:
    code = error.response.get("Error", {}).get("Code", "")
    said = f"ECR in {region} refused {error.operation_name}: {code}: {message_of(error)}"
    if code in _EXPIRED:
        return f"{said}. The credentials have expired; log in again (`aws sso login`)."
    if code in _UNKNOWN:
        return f"{said}. These credentials are of no account there; check the keys and the region."
    if code.startswith("AccessDenied"):
        return f"{said}. A push needs {_PERMISSIONS}."
    return said


def message_of(error: ClientError) -> str:
    """What the service said, without the client's words around it."""
    return str(error.response.get("Error", {}).get("Message", error))

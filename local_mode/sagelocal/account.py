"""An AWS account by ordinary credentials, or this machine's plane, and what they say no with.

Every call goes through `Account.call`, which turns botocore's errors into words with a next step.

CloudError        the text is for the user: what happened, with which value, and the next step
  Unreachable     nobody answered; somebody may, later
  Refused         the service said no; `code` is its error code
  NotThere        what was named does not exist
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3
import botocore
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)

LOCAL_KEY = "sagelocal"
LOCAL_REGION = "us-east-1"
_CREDENTIALS_STEP = (
    "Run `aws configure` or `aws sso login`, set AWS_PROFILE or --profile, or set "
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. This machine's plane needs none: --here, or "
    "`sagelocal exec -- COMMAND`."
)
_NO_REGION = (
    "no AWS region: set AWS_REGION or --region, run `aws configure`, or say `region` in a spec"
)
_BAD_KEYS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_DENIED = {"AccessDenied", "AccessDeniedException", "403", "UnauthorizedOperation"}
_ABSENT = {"404", "NoSuchBucket", "NoSuchKey", "NoSuchEntity", "ResourceNotFound", "NotFound"}

_NOT_FOUND = re.compile(r"could not find|not found", re.IGNORECASE)
_SERVICE_NAMES = {"sagemaker": "SageMaker", "ecr": "ECR"}


class CloudError(Exception):
    """The text is for the user, with the next step."""


class Unreachable(CloudError):
    """Nobody answered."""


class Refused(CloudError):
    """The service's refusal. `said` are its own words."""

    def __init__(self, code: str, text: str, said: str = "") -> None:
        self.code = code
        self.said = said
        super().__init__(text)


class NotThere(Refused):
    """What was named does not exist."""


@dataclass(frozen=True)
class Identity:
    """Who asks: sts:GetCallerIdentity."""

    account: str
    arn: str


class Account:
    """One account in one region. Nothing is asked of it before it is needed."""

    def __init__(
        self, session: boto3.Session, url: str | None = None, config: Config | None = None
    ) -> None:
        self._session = session
        self._url = url
        self._config = config
        self._clients: dict[str, Any] = {}

    @classmethod
    def here(cls, url: str, region: str | None) -> Account:
        """This machine's plane at `url`, whatever AWS variables are set."""
        session = boto3.Session(
            aws_access_key_id=LOCAL_KEY,
            aws_secret_access_key=LOCAL_KEY,
            region_name=region
            or os.environ.get("AWS_REGION")
            or os.environ.get("AWS_DEFAULT_REGION")
            or LOCAL_REGION,
        )
        config = Config(proxies={}, s3={"addressing_style": "path"})
        return cls(session, url, config)

    @classmethod
    def cloud(cls, region: str | None, profile: str | None, service: str = "sagemaker") -> Account:
        """The account of boto3's own credentials, profile, region and endpoint settings.

        Raises CloudError for a profile that is not there, or a region without the service.
        """
        region = region or (os.environ.get("AWS_REGION") if profile is None else None)
        try:
            session = boto3.Session(region_name=region, profile_name=profile)
        except ProfileNotFound as error:
            known = ", ".join(boto3.Session().available_profiles) or "none"
            raise CloudError(
                f"there is no AWS profile {profile or os.environ.get('AWS_PROFILE')!r}; "
                f"known: {known}"
            ) from error
        _check_region(session, service)
        return cls(session)

    @property
    def is_here(self) -> bool:
        """Whether it is a plane of this machine."""
        return self._url is not None

    @property
    def region(self) -> str:
        return str(self._session.region_name)

    @cached_property
    def identity(self) -> Identity:
        """Raises CloudError without valid credentials."""
        found = self.call("sts", "get_caller_identity")
        return Identity(found["Account"], found["Arn"])

    def client(self, service: str) -> Any:
        """A boto3 client of the account. Raises CloudError."""
        if service not in self._clients:
            # boto3's annotations know a service by its literal name only.
            make: Any = self._session.client
            try:
                self._clients[service] = make(service, endpoint_url=self._url, config=self._config)
            except (BotoCoreError, ValueError) as error:
                raise self.explained(error, service) from error
        return self._clients[service]

    def call(self, service: str, method: str, **parameters: Any) -> dict[str, Any]:
        """What the service answers. Raises CloudError."""
        client = self.client(service)
        try:
            answer: dict[str, Any] = getattr(client, method)(**parameters)
        except (BotoCoreError, ClientError) as error:
            raise self.explained(error, service) from error
        return answer

    def explained(self, error: Exception, service: str) -> CloudError:
        """A botocore error in words for the user."""
        if isinstance(error, ClientError):
            return self._refusal(error.response.get("Error", {}), error.operation_name, service)
        if isinstance(
            error, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError
        ):
            return CloudError(f"no AWS credentials: {error}. {_CREDENTIALS_STEP}")
        if isinstance(error, NoRegionError):
            return CloudError(_NO_REGION)
        if isinstance(error, EndpointConnectionError | HTTPClientError):
            return Unreachable(
                f"{service} in {self.region} cannot be reached: {error}. Look at the network, the "
                "proxy, and AWS_ENDPOINT_URL if it is set."
            )
        return CloudError(f"{service}: {error}")

    def _refusal(self, error: Mapping[str, Any], operation: str, service: str) -> Refused:
        code, words = str(error.get("Code", "")), str(error.get("Message", ""))
        text = f"{operation} was refused: {code}: {words}"
        if code in _BAD_KEYS:
            step = f"The credentials are not valid now. {_CREDENTIALS_STEP}"
            return Refused(code, f"{text}. {step}", words)
        if code in _DENIED:
            return Refused(code, f"{text}. The caller needs {service}:{operation}.", words)
        if code == "ResourceLimitExceeded":
            step = "Ask for the quota in Service Quotas, or use less."
            return Refused(code, f"{text}. {step}", words)
        if code in _ABSENT or code.endswith(("NotFoundException", "NotFound")):
            return NotThere(code, text, words)
        # SageMaker has no code of its own for what is not there.
        if code == "ValidationException" and _NOT_FOUND.search(words):
            return NotThere(code, text, words)
        return Refused(code, text, words)


def is_denial(error: Refused) -> bool:
    """Whether the caller may not know, rather than that there is nothing."""
    return error.code in _DENIED


def _check_region(session: boto3.Session, service: str) -> None:
    """Refuse a region that botocore does not know: its address would be nobody's."""
    region = session.region_name
    if region is None:
        raise CloudError(_NO_REGION)
    known = [
        name
        for partition in session.get_available_partitions()
        for name in session.get_available_regions(service, partition)
    ]
    if region not in known:
        near = difflib.get_close_matches(region, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; it knows {', '.join(sorted(known))}"
        raise CloudError(
            f"{region!r} is no region of {_SERVICE_NAMES.get(service, service)} that botocore "
            f"{botocore.__version__} knows{hint}"
        )

"""Presigned URLs: whether one may be used, and still.

The signature itself cannot be verified, because any secret key is accepted here; its form, its life
span and which headers it covers are, so that a URL that would be refused in the cloud is refused
here as well.

Sources: Amazon S3 API Reference, "Authenticating Requests: Using Query Parameters (AWS Signature
Version 4)" and "Signing and Authenticating REST Requests" (version 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

from sagelocal.protocol.faults import Fault
from sagelocal.protocol.http import Headers

MAX_SECONDS = 604_800
CLOCK_SKEW_SECONDS = 900
ALGORITHMS = ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")
SIGV4_PARAMETERS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Expires",
)
# What clients add to every request, whoever signed it.
UNSIGNED_HEADERS = ("x-amz-content-sha256", "x-amz-date", "x-amz-user-agent")
SIGV2_PARAMETERS = ("AWSAccessKeyId", "Signature", "Expires")


def check_presigned(query: str, headers: Headers, now: float) -> None:
    """Raise the Fault that S3 answers to a presigned query that is malformed or out of its time.

    So it does to one that was signed with other headers than these, which include those that are
    in the query. `now` is seconds since 1970. A query that carries no signature passes.
    """
    if "X-Amz-" not in query and "Signature" not in query and "AWSAccessKeyId" not in query:
        return
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    if "X-Amz-Algorithm" in parameters or "X-Amz-Signature" in parameters:
        _check_version_4(parameters, now)
        _check_headers(parameters, headers)
    elif "Signature" in parameters or "AWSAccessKeyId" in parameters:
        _check_version_2(parameters, now)


def _check_version_4(parameters: Mapping[str, str], now: float) -> None:
    if any(not parameters.get(name) for name in SIGV4_PARAMETERS):
        raise _malformed(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
            "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
        )
    if parameters["X-Amz-Algorithm"] not in ALGORITHMS:
        raise _malformed(
            'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"'
        )
    signed_at = _signing_time(parameters["X-Amz-Date"])
    lifetime = _lifetime(parameters["X-Amz-Expires"])
    if signed_at.timestamp() - now > CLOCK_SKEW_SECONDS:
        raise Fault("AccessDenied", "Request is not yet valid", status=403)
    _check_expiry(signed_at + timedelta(seconds=lifetime), now, {"X-Amz-Expires": str(lifetime)})


def _check_headers(parameters: Mapping[str, str], headers: Headers) -> None:
    """Every header that was signed is there, and every one of Amazon's that is there was signed."""
    signed = parameters["X-Amz-SignedHeaders"].lower().split(";")
    if any(name not in headers for name in signed if name != "host"):
        raise Fault(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check "
            "your key and signing method.",
            status=403,
        )
    known = {*signed, *(name.lower() for name in parameters), *UNSIGNED_HEADERS}
    extra = [name for name in headers if name.startswith("x-amz-") and name not in known]
    if extra:
        raise Fault(
            "AccessDenied",
            "There were headers present in the request which were not signed",
            status=403,
            members={"HeadersNotSigned": ", ".join(extra)},
        )


def _signing_time(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise _malformed(
            "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""
        ) from error


def _lifetime(text: str) -> int:
    try:
        seconds = int(text)
    except ValueError as error:
        raise _malformed("X-Amz-Expires should be a number") from error
    if seconds < 0:
        raise _malformed("X-Amz-Expires must be non-negative")
    if seconds > MAX_SECONDS:
        raise _malformed(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires "
            f"must be less than {MAX_SECONDS} seconds"
        )
    return seconds


def _check_version_2(parameters: Mapping[str, str], now: float) -> None:
    if any(not parameters.get(name) for name in SIGV2_PARAMETERS):
        raise _denied(
            "Query-string authentication requires the Signature, Expires and AWSAccessKeyId "
            "parameters"
        )
    try:
        expires = datetime.fromtimestamp(int(parameters["Expires"]), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise _denied(
            f"Invalid date (should be seconds since epoch): {parameters['Expires']}"
        ) from error
    _check_expiry(expires, now, {})


def _check_expiry(expires: datetime, now: float, members: Mapping[str, str]) -> None:
    if now <= expires.timestamp():
        return
    raise Fault(
        "AccessDenied",
        "Request has expired",
        status=403,
        members={
            **members,
            "Expires": _iso(expires),
            "ServerTime": _iso(datetime.fromtimestamp(now, UTC)),
        },
    )


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _malformed(message: str) -> Fault:
    return Fault("AuthorizationQueryParametersError", message)


def _denied(message: str) -> Fault:
    return Fault("AccessDenied", message, status=403)

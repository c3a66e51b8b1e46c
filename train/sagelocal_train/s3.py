"""Fetch one object from S3 over plain HTTP, signed with Signature Version 4.

A training image needs S3 for one thing, the source archive of script mode, so it needs no AWS SDK.
The endpoint is AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or S3_ENDPOINT_URL (path style) or AWS itself
(`https://BUCKET.s3.REGION.amazonaws.com`); credentials come from the environment or from the
container credentials provider; without any, the request goes unsigned, as for a public object.
(AWS general reference, "Signature Version 4"; AWS SDKs reference, "Container credential provider".)
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from urllib.parse import quote, urlsplit

from sagelocal_train.errors import PlatformError, ScriptError

ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "S3_ENDPOINT_URL")
CONTAINER_CREDENTIALS_HOST = "http://169.254.170.2"

_ATTEMPTS = 4
_TIMEOUT_SECONDS = 60
_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Credentials:
    """Keys of an AWS identity. Their repr shows no secret."""

    access_key: str
    secret_key: str
    token: str | None = None

    def __repr__(self) -> str:
        return f"Credentials(access_key={self.access_key!r}, ...)"


def download(uri: str, target: Path, variables: Mapping[str, str]) -> None:
    """Write the object at `s3://bucket/key` to `target`.

    `variables` say endpoint, region and credentials. Raises ScriptError when S3 refuses, and
    PlatformError when it cannot be reached.
    """
    bucket, key = split_uri(uri)
    region = variables.get("AWS_REGION") or variables.get("AWS_DEFAULT_REGION") or "us-east-1"
    url = object_url(bucket, key, region, variables)
    credentials = find_credentials(variables)
    for attempt in range(1, _ATTEMPTS + 1):
        last = attempt == _ATTEMPTS
        try:
            _fetch(url, region, credentials, target)
            return
        except urllib.error.HTTPError as error:
            elsewhere = error.headers.get("x-amz-bucket-region")
            if elsewhere and elsewhere != region and not last:
                region, url = elsewhere, object_url(bucket, key, elsewhere, variables)
                continue
            if error.code < 500 or last:
                raise _refused(uri, url, error) from error
        except (OSError, HTTPException) as error:
            if last:
                raise _unreachable(uri, url, error) from error
        time.sleep(0.2 * 2**attempt)


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an S3 URI; raises ScriptError when it names no object."""
    match = re.fullmatch(r"s3://([^/]+)/(.+)", uri)
    if match is None:
        raise ScriptError(f"{uri!r} names no S3 object: it must be s3://BUCKET/KEY")
    return match[1], match[2]


def object_url(bucket: str, key: str, region: str, variables: Mapping[str, str]) -> str:
    """Where the object is: path style at a given endpoint, the bucket's own host at AWS."""
    path = quote(key, safe="/-_.~")
    endpoint = next((variables[n] for n in ENDPOINT_VARIABLES if variables.get(n)), None)
    if endpoint is not None:
        return f"{endpoint.rstrip('/')}/{bucket}/{path}"
    host = f"s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
    if "." in bucket:  # the wildcard certificate covers one label only
        return f"https://{host}/{bucket}/{path}"
    return f"https://{bucket}.{host}/{path}"


def find_credentials(variables: Mapping[str, str]) -> Credentials | None:
    """Credentials of the environment, or of the container's role; None without either."""
    access, secret = variables.get("AWS_ACCESS_KEY_ID"), variables.get("AWS_SECRET_ACCESS_KEY")
    if access and secret:
        return Credentials(access, secret, variables.get("AWS_SESSION_TOKEN"))
    relative = variables.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    url = variables.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if relative:
        url = f"{CONTAINER_CREDENTIALS_HOST}{relative}"
    return _container_credentials(url, variables) if url else None


def _container_credentials(url: str, variables: Mapping[str, str]) -> Credentials:
    request = urllib.request.Request(url)
    if token := variables.get("AWS_CONTAINER_AUTHORIZATION_TOKEN"):
        request.add_header("Authorization", token)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
            document = json.load(response)
        return Credentials(document["AccessKeyId"], document["SecretAccessKey"], document["Token"])
    except (OSError, HTTPException, ValueError, KeyError) as error:
        raise PlatformError(
            f"No credentials of the job's role from {url}: {type(error).__name__}: {error}"
        ) from error


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A signature holds for one host only, so a redirect is answered by signing anew."""

    def redirect_request(self, *args: object) -> None:
        """None: let the redirect come out as an HTTPError."""


_opener = urllib.request.build_opener(_NoRedirects)


def _fetch(url: str, region: str, credentials: Credentials | None, target: Path) -> None:
    headers = signed_headers(url, region, credentials, datetime.now(UTC)) if credentials else {}
    request = urllib.request.Request(url, headers=headers)
    with (
        _opener.open(request, timeout=_TIMEOUT_SECONDS) as response,
        target.open("wb") as file,
    ):
        shutil.copyfileobj(response, file, 1 << 20)
        expected = response.headers.get("Content-Length")
        if expected is not None and file.tell() != int(expected):
            raise HTTPException(f"{file.tell()} of {expected} bytes came")


def signed_headers(
    url: str, region: str, credentials: Credentials, now: datetime
) -> dict[str, str]:
    """The headers of a signed GET of `url` without a query; `now` is in UTC."""
    parts = urlsplit(url)
    timestamp = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{timestamp[:8]}/{region}/s3/aws4_request"
    headers = {
        "host": parts.netloc,
        "x-amz-content-sha256": _EMPTY_SHA256,
        "x-amz-date": timestamp,
    }
    if credentials.token:
        headers["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(headers))
    canonical_headers = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = f"GET\n{parts.path}\n\n{canonical_headers}\n{names}\n{_EMPTY_SHA256}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{digest}"
    signature = _sign(credentials.secret_key, scope, text)
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return headers


def _sign(secret_key: str, scope: str, text: str) -> str:
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def _refused(uri: str, url: str, error: urllib.error.HTTPError) -> ScriptError:
    """S3's own code and words, and what to do about it."""
    body = error.read().decode("utf-8", errors="replace")
    said = {tag: match[1] for tag in ("Code", "Message") if (match := _element(tag, body))}
    reason = f"{said.get('Code', error.code)}: {said.get('Message', error.reason)}"
    step = {
        403: "Check that the job's role (RoleArn) may read it, and the credentials",
        404: "Check the bucket and the key",
    }.get(error.code, "Check the address")
    return ScriptError(f"{uri} cannot be downloaded from {_origin(url)} ({reason}). {step}")


def _unreachable(uri: str, url: str, error: Exception) -> PlatformError:
    return PlatformError(
        f"{uri} cannot be downloaded: {_origin(url)} does not answer "
        f"({getattr(error, 'reason', error)}). Check the network of the job and "
        f"{', '.join(ENDPOINT_VARIABLES)}"
    )


def _element(tag: str, body: str) -> re.Match[str] | None:
    return re.search(f"<{tag}>(.*?)</{tag}>", body, re.DOTALL)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"

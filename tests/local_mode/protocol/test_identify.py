"""Which service a request is for."""

from __future__ import annotations

import io

import pytest
from sagelocal.protocol.http import Headers, HttpRequest
from sagelocal.protocol.identify import Identity, identify

SCOPE = "AKID/20260101/eu-west-1/{}/aws4_request"


def signed(service: str, **fields: str) -> HttpRequest:
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={SCOPE.format(service)}, SignedHeaders=host, Signature=0"
    )
    target = fields.pop("target", None)
    headers = {"Authorization": authorization, **({"X-Amz-Target": target} if target else {})}
    return HttpRequest(
        fields.get("method", "POST"), fields.get("path", "/"), headers=Headers(headers)
    )


@pytest.mark.parametrize(
    ("request_", "service"),
    [
        (signed("sagemaker", target="SageMaker.ListModels"), "sagemaker"),
        (signed("sagemaker", path="/endpoints/e/invocations"), "sagemaker-runtime"),
        (signed("sagemaker", path="/endpoints/e/async-invocations"), "sagemaker-runtime"),
        (
            signed("sagemaker", path="/endpoints/e/invocations-response-stream"),
            "sagemaker-runtime",
        ),
        (signed("sagemaker", path="/FeatureGroup/g"), "sagemaker-featurestore-runtime"),
        (signed("s3", path="/endpoints/e/invocations", method="PUT"), "s3"),
        (signed("s3express", path="/bucket/key"), "s3"),
        (signed("monitoring"), "cloudwatch"),
        (signed("nonesuch"), "nonesuch"),
    ],
)
def test_the_credential_scope_says_service_region_and_key(
    request_: HttpRequest, service: str
) -> None:
    assert identify(request_) == Identity(service, "eu-west-1", "AKID")


def test_a_presigned_query_says_the_same() -> None:
    query = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={SCOPE.format('s3')}"
    request = HttpRequest("GET", "/bucket/key", query.replace("/", "%2F"))
    assert identify(request) == Identity("s3", "eu-west-1", "AKID")


def test_sigv4a_has_the_region_in_a_header() -> None:
    headers = {
        "Authorization": "AWS4-ECDSA-P256-SHA256 Credential=AKID/20260101/s3/aws4_request, "
        "SignedHeaders=host, Signature=0",
        "X-Amz-Region-Set": "eu-west-1,us-east-1",
    }
    request = HttpRequest("GET", "/", headers=Headers(headers))
    assert identify(request) == Identity("s3", "eu-west-1", "AKID")


@pytest.mark.parametrize(
    "request_",
    [
        HttpRequest("GET", "/b/k", "AWSAccessKeyId=AKID&Signature=x&Expires=1"),
        HttpRequest("GET", "/b/k", headers=Headers({"Authorization": "AWS AKID:x"})),
    ],
)
def test_an_old_signature_is_for_s3(request_: HttpRequest) -> None:
    assert identify(request_) == Identity("s3", None, "AKID")


@pytest.mark.parametrize(
    ("request_", "service"),
    [
        (HttpRequest("GET", "/bucket/key"), "s3"),
        (HttpRequest("GET", "/"), "s3"),
        (HttpRequest("POST", "/endpoints/e/invocations"), "sagemaker-runtime"),
        (HttpRequest("POST", "/endpoints/e/invocations", "uploads"), "s3"),
        (HttpRequest("POST", "/", headers=Headers({"X-Amz-Target": "SageMaker.X"})), "sagemaker"),
        (HttpRequest("POST", "/", headers=Headers({"X-Amz-Target": "Logs_20140328.X"})), "logs"),
        (HttpRequest("POST", "/service/CloudWatch/operation/ListMetrics"), "CloudWatch"),
    ],
)
def test_an_unsigned_request_is_known_by_its_target_or_path(
    request_: HttpRequest, service: str
) -> None:
    assert identify(request_) == Identity(service)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("sts.us-west-2.amazonaws.com", Identity("sts", "us-west-2")),
        ("sts.amazonaws.com", Identity("sts")),
        ("api.ecr.us-west-2.amazonaws.com:443", Identity("ecr", "us-west-2")),
        (
            "runtime.sagemaker.us-gov-west-1.amazonaws.com",
            Identity("sagemaker-runtime", "us-gov-west-1"),
        ),
        ("bucket.s3.us-west-2.amazonaws.com", Identity("s3")),
        ("s3.amazonaws.com", Identity("s3")),
    ],
)
def test_an_unsigned_request_to_a_host_of_aws_is_for_that_service(
    host: str, expected: Identity
) -> None:
    assert identify(HttpRequest("GET", "/", headers=Headers({"Host": host}))) == expected


def test_an_unsigned_form_is_known_by_its_version_and_can_still_be_read() -> None:
    body = io.BytesIO(b"Action=AssumeRoleWithWebIdentity&Version=2011-06-15")
    headers = Headers({"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"})
    request = HttpRequest("POST", "/", headers=headers, body=body)
    assert identify(request) == Identity("sts")
    assert request.read_body(1000).startswith(b"Action=")


@pytest.mark.parametrize("scope", ["", "AKID", "a/b"])
def test_a_broken_scope_is_no_scope(scope: str) -> None:
    headers = Headers({"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, Signature=0"})
    assert identify(HttpRequest("GET", "/b", headers=headers)) == Identity("s3")

"""Which service a request is for.

One address answers for every service, so the request itself has to say. In order: the credential
scope of a SigV4 signature (header or presigned query string), a SigV2 signature (only S3 has any
left), the operation's name in X-Amz-Target, the path of a smithy RPC, a host name of AWS that a
proxy brought here, the version in a form body; what says nothing is a plain S3 request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs

from sagelocal.protocol.http import HttpRequest

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Identity:
    """Who asks which service, and where.

    `service` is botocore's name for every service of ours, else what the request calls it. Region
    and access key are None when the request is not signed.
    """

    service: str
    region: str | None = None
    access_key: str | None = None


_SIGV4 = re.compile(r"AWS4-(?:HMAC|ECDSA-P256)-SHA256\s.*?Credential=(?P<scope>[^,\s]+)", re.DOTALL)
_SIGV2 = re.compile(r"AWS (?P<key>[^:\s]+):")
_SMITHY_RPC = re.compile(r"/service/(?P<service>\w+)/operation/\w+")

# Services that share the signing name `sagemaker` with the control plane; all are rest-json.
_SIGNED_AS_SAGEMAKER = (
    (re.compile(r"/endpoints/[^/]+/[a-z-]*invocations[a-z-]*"), "sagemaker-runtime"),
    (re.compile(r"/human-loops.*"), "sagemaker-a2i-runtime"),
    (
        re.compile(r"/(FeatureGroup/.*|BatchGetRecord|BatchWriteRecord)"),
        "sagemaker-featurestore-runtime",
    ),
    (re.compile(r"/(BatchPutMetrics|BatchGetMetrics)"), "sagemaker-metrics"),
    (re.compile(r"/(SendHeartbeat|GetDeviceRegistration|GetDeployments)"), "sagemaker-edge"),
)

_TARGETS = {
    "SageMaker": "sagemaker",
    "Logs_20140328": "logs",
    "AmazonEC2ContainerRegistry_V20150921": "ecr",
}

_FORM_VERSIONS = {
    "2011-06-15": "sts",
    "2010-05-08": "iam",
    "2016-11-15": "ec2",
    "2010-08-01": "cloudwatch",
}

# Signing names and first labels of host names that differ from botocore's name of the service.
_ALIASES = {
    "api.ecr": "ecr",
    "api.sagemaker": "sagemaker",
    "runtime.sagemaker": "sagemaker-runtime",
    "s3express": "s3",
    "s3-object-lambda": "s3",
    "monitoring": "cloudwatch",
    "states": "stepfunctions",
    "GraniteServiceVersion20100801": "cloudwatch",
}

_AWS_HOST = re.compile(r"(?P<labels>.+?)\.amazonaws\.com(?:\.cn)?")
_S3_HOST = re.compile(r"(?:.+\.)?s3(?:[.-].*)?\.amazonaws\.com(?:\.cn)?")


def identify(request: HttpRequest) -> Identity:
    """The service, region and access key of a request. Never fails: the default is S3.

    A form body is looked at only if the stream can be rewound, and only when nothing else tells.
    """
    return (
        _from_signature(request)
        or _from_target(request)
        or _from_host(request)
        or _from_path_or_form(request)
        or Identity("s3")
    )


def host_name(request: HttpRequest) -> str:
    """The Host header in lower case, without its port."""
    host = request.headers.get("host", "").lower()
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]


def _from_signature(request: HttpRequest) -> Identity | None:
    authorization = request.headers.get("authorization", "")
    if signed := _SIGV4.match(authorization):
        return _from_scope(request, signed["scope"])
    if signed := _SIGV2.match(authorization):
        return Identity("s3", access_key=signed["key"])
    if "X-Amz-Credential" not in request.query and "AWSAccessKeyId" not in request.query:
        return None
    query = parse_qs(request.query)
    if "X-Amz-Credential" in query:
        return _from_scope(request, query["X-Amz-Credential"][0])
    return Identity("s3", access_key=query.get("AWSAccessKeyId", [None])[0])


def _from_scope(request: HttpRequest, scope: str) -> Identity | None:
    """`KEY/20261121/us-east-1/sagemaker/aws4_request`; SigV4A leaves out the region."""
    parts = scope.split("/")
    if len(parts) < 4:
        return None
    signing_name = parts[-2]
    region = parts[-3] if len(parts) >= 5 else _region_of_set(request)
    key = "/".join(parts[:-4] if len(parts) >= 5 else parts[:-3])
    return Identity(_service_signed_as(signing_name, request), region, key)


def _region_of_set(request: HttpRequest) -> str | None:
    first = request.headers.get("x-amz-region-set", "").partition(",")[0].strip()
    return first if first and "*" not in first else None


def _service_signed_as(signing_name: str, request: HttpRequest) -> str:
    if signing_name == "sagemaker" and "x-amz-target" not in request.headers:
        for path, service in _SIGNED_AS_SAGEMAKER:
            if path.fullmatch(request.path):
                return service
    return _ALIASES.get(signing_name, signing_name)


def _from_target(request: HttpRequest) -> Identity | None:
    prefix = request.headers.get("x-amz-target", "").rpartition(".")[0]
    if prefix:
        return Identity(_TARGETS.get(prefix, prefix))
    if rpc := _SMITHY_RPC.fullmatch(request.path):
        return Identity(_ALIASES.get(rpc["service"], rpc["service"]))
    return None


def _from_host(request: HttpRequest) -> Identity | None:
    host = host_name(request)
    if _S3_HOST.fullmatch(host):
        return Identity("s3")
    if not (found := _AWS_HOST.fullmatch(host)):
        return None
    labels = found["labels"].split(".")
    region = next((label for label in labels if re.fullmatch(r"[a-z]+(-[a-z]+)+-\d", label)), None)
    name = ".".join(label for label in labels if label != region)
    return Identity(_ALIASES.get(name, name), region)


def _from_path_or_form(request: HttpRequest) -> Identity | None:
    if request.method != "POST" or request.query:
        return None
    runtime_path, runtime = _SIGNED_AS_SAGEMAKER[0]
    if runtime_path.fullmatch(request.path):
        return Identity(runtime)
    if request.path != "/" or not request.headers.get("content-type", "").startswith(FORM):
        return None
    if not request.body.seekable():
        return None
    form = parse_qs(request.body.read().decode("utf-8", "replace"))
    request.body.seek(0)
    service = _FORM_VERSIONS.get(form.get("Version", [""])[0])
    return Identity(service) if service else None

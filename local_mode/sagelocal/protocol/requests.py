"""From a request to an operation and its parameters, in the protocol of its service."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from botocore.model import OperationModel, StructureShape

from sagelocal.protocol import cbor, form_codec, json_codec, rest_bindings, xml_codec
from sagelocal.protocol.faults import Fault, malformed_xml
from sagelocal.protocol.http import Headers, HttpRequest
from sagelocal.protocol.identify import FORM, host_name
from sagelocal.protocol.models import Service
from sagelocal.protocol.rest_bindings import Unreadable
from sagelocal.protocol.routing import Match

# The largest JSON, XML or form. What clients send are some MB at most: CompleteMultipartUpload
# with 10,000 parts, DeleteObjects with 1,000 keys.
MOST_DOCUMENT_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class ParsedRequest:
    """What is asked for. A streaming body is in `parameters` as the request's stream."""

    operation: OperationModel
    parameters: dict[str, Any]


def protocol_of(service: Service | None, request: HttpRequest) -> str:
    """The protocol that a request came in: the service's, if it has but one.

    A service of several (CloudWatch) is asked by old clients in the old one.
    """
    if service and len(service.model.metadata.get("protocols", ())) < 2:
        return service.protocol
    headers = request.headers
    if headers.get("smithy-protocol", "") == "rpc-v2-cbor":
        return "smithy-rpc-v2-cbor"
    if "x-amz-target" in headers:
        return "json"
    if headers.get("content-type", "").startswith(FORM):
        return "query"
    return "rest-json"


def parse(
    service: Service, request: HttpRequest, *, most_blob_bytes: int = MOST_DOCUMENT_BYTES
) -> ParsedRequest:
    """Read a request by its service's model.

    A body that is one blob and no stream is cut one byte after `most_blob_bytes`, for the
    operation to refuse it in its own words.

    Raises a Fault (4xx) for an operation that AWS does not know either and for what cannot be read.
    """
    match protocol_of(service, request):
        case "smithy-rpc-v2-cbor":
            return _parse_cbor(service, request)
        case "json":
            return _parse_json(service, request)
        case "query" | "ec2":
            return _parse_form(service, request)
        case "rest-json":
            return _parse_rest_json(service, request, most_blob_bytes)
        case "rest-xml":
            return _parse_rest_xml(service, request, most_blob_bytes)
    raise unknown_operation(service, operation_name(service, request) or request.path)


def operation_name(service: Service, request: HttpRequest) -> str | None:
    """The operation's name where it can be told without reading the whole request; for messages."""
    target = request.headers.get("x-amz-target", "").rpartition(".")[2]
    if target:
        return target
    if "/operation/" in request.path:
        return request.path.rpartition("/")[2]
    if service.protocol.startswith("rest-"):
        found = _route(service, request)
        return found.operation.name if found else None
    return None


def unknown_operation(service: Service, name: str) -> Fault:
    """The answer to an operation that is in no model."""
    if service.protocol in ("query", "ec2"):
        version = service.model.api_version
        return Fault("InvalidAction", f"Could not find operation {name} for version {version}")
    if service.name == "s3":
        text = f"The specified method is not allowed against this resource: {name}"
        return Fault("MethodNotAllowed", text, status=405)
    status = 404 if service.protocol == "rest-json" else 400
    text = f"{name} is no operation of {service.name}"
    return Fault("UnknownOperationException", text, status=status)


def _parse_json(service: Service, request: HttpRequest) -> ParsedRequest:
    name = request.headers.get("x-amz-target", "").rpartition(".")[2]
    if not service.has_operation(name):
        raise unknown_operation(service, name or f"{request.method} {request.path}")
    operation = service.operation(name)
    shape = operation.input_shape
    if shape is None:
        return ParsedRequest(operation, {})
    return ParsedRequest(operation, _json_members(shape, _document(service, request)))


def _json_members(shape: StructureShape, body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise Fault("SerializationException", f"The request body is no JSON: {error}") from error
    try:
        decoded: dict[str, Any] = json_codec.decode(shape, document)
    except json_codec.WrongType as error:
        raise Fault("SerializationException", str(error)) from error
    return decoded


def _parse_cbor(service: Service, request: HttpRequest) -> ParsedRequest:
    name = request.path.rpartition("/")[2]
    if not service.has_operation(name):
        raise unknown_operation(service, name or f"{request.method} {request.path}")
    operation = service.operation(name)
    shape = operation.input_shape
    body = _document(service, request)
    if shape is None or not body:
        return ParsedRequest(operation, {})
    try:
        return ParsedRequest(operation, json_codec.decode(shape, cbor.decode(body)))
    except (cbor.NotCbor, json_codec.WrongType) as error:
        text = f"The request body cannot be read: {error}"
        raise Fault("SerializationException", text) from error


def _parse_form(service: Service, request: HttpRequest) -> ParsedRequest:
    if request.method == "GET":
        text = request.query
    else:
        text = _document(service, request).decode("utf-8", "replace")
    values = dict(parse_qsl(text, keep_blank_values=True))
    name = values.get("Action", "")
    if not service.has_operation(name):
        if not name:
            raise Fault("MissingAction", "The request has no Action parameter")
        raise unknown_operation(service, name)
    operation = service.operation(name)
    shape = operation.input_shape
    try:
        return ParsedRequest(operation, form_codec.decode(shape, values) if shape else {})
    except ValueError as error:
        raise Fault("MalformedInput", f"The request cannot be read: {error}") from error


def _parse_rest_json(service: Service, request: HttpRequest, most_blob_bytes: int) -> ParsedRequest:
    found = _routed(service, request)
    shape = found.operation.input_shape
    if shape is None:
        return ParsedRequest(found.operation, {})
    parameters = _bound_members(service, shape, found, request)
    payload = shape.serialization.get("payload")
    if payload:
        member = shape.members[payload]
        if isinstance(member, StructureShape):
            body = _document(service, request)
            if body:
                parameters[payload] = _json_members(member, body)
        else:
            parameters.update(_raw_payload(service, payload, shape, request, most_blob_bytes))
    elif rest_bindings.body_members(shape):
        parameters |= _json_members(shape, _document(service, request))
    return ParsedRequest(found.operation, parameters)


def _parse_rest_xml(service: Service, request: HttpRequest, most_blob_bytes: int) -> ParsedRequest:
    found = _routed(service, request)
    shape = found.operation.input_shape
    if shape is None:
        return ParsedRequest(found.operation, {})
    parameters = _bound_members(service, shape, found, request)
    payload = shape.serialization.get("payload")
    if payload and not isinstance(shape.members[payload], StructureShape):
        parameters.update(_raw_payload(service, payload, shape, request, most_blob_bytes))
        return ParsedRequest(found.operation, parameters)
    if payload or rest_bindings.body_members(shape):
        body = _document(service, request)
        if body.strip():
            parameters.update(_xml_members(shape, payload, body))
    return ParsedRequest(found.operation, parameters)


def _xml_members(shape: StructureShape, payload: str | None, body: bytes) -> Mapping[str, Any]:
    target = shape.members[payload] if payload else shape
    if not isinstance(target, StructureShape):
        raise TypeError(f"{shape.name}.{payload} is no structure")
    try:
        decoded = xml_codec.decode_document(target, body)
    except ValueError as error:
        raise malformed_xml() from error
    return {payload: decoded} if payload else decoded


def _raw_payload(
    service: Service, payload: str, shape: StructureShape, request: HttpRequest, most_bytes: int
) -> dict[str, Any]:
    """A body that is one blob or text: as it is, and as a stream where the model says so."""
    member = shape.members[payload]
    if member.type_name != "blob":
        return {payload: _document(service, request).decode("utf-8", "replace")}
    if member.serialization.get("streaming"):
        return {payload: request.body}
    return {payload: request.read_body(most_bytes)}


def _document(service: Service, request: HttpRequest) -> bytes:
    """The whole of a body that is parsed in memory. Raises Fault for one that is too large."""
    body = request.read_body(MOST_DOCUMENT_BYTES)
    if len(body) <= MOST_DOCUMENT_BYTES:
        return body
    if service.name == "s3":
        raise Fault(
            "MaxMessageLengthExceeded",
            "Your request was too large.",
            members={"MaxMessageLengthBytes": MOST_DOCUMENT_BYTES},
        )
    raise Fault(
        "RequestEntityTooLargeException",
        f"The request body is longer than {MOST_DOCUMENT_BYTES} bytes",
        status=413,
    )


def _bound_members(
    service: Service, shape: StructureShape, found: Match, request: HttpRequest
) -> dict[str, Any]:
    try:
        return rest_bindings.decode(shape, found.labels, request.query, request.headers)
    except Unreadable as error:
        if service.name == "s3":
            raise Fault(
                "InvalidArgument",
                f"Provided value for {error.name} cannot be read: {error.value}",
                members={"ArgumentName": error.name, "ArgumentValue": error.value},
            ) from error
        raise Fault("SerializationException", f"Cannot read {error}") from error


def _routed(service: Service, request: HttpRequest) -> Match:
    found = _route(service, request)
    if found is None:
        raise unknown_operation(service, f"{request.method} {request.path}")
    return found


def _route(service: Service, request: HttpRequest) -> Match | None:
    path = path_style(request).path if service.name == "s3" else request.path
    try:
        return service.router.match(request, path)
    except UnicodeDecodeError as error:
        raise Fault("InvalidURI", "Couldn't parse the specified URI.") from error


# What a presigned query carries for its own sake, by names in lower case.
_OF_THE_SIGNATURE = frozenset(
    f"x-amz-{name}"
    for name in ("algorithm", "credential", "date", "expires", "signedheaders", "signature")
)
_CONTENT_HEADERS = ("content-type", "content-md5")


def with_query_headers(request: HttpRequest) -> HttpRequest:
    """A presigned S3 request with the headers that its query string stands for.

    Signers put them there (`x-amz-meta-a`, `x-amz-copy-source`), so that whoever has the URL need
    not send them. A header that was sent counts for more.
    """
    if "Signature=" not in request.query:
        return request
    hoisted = [
        (name.lower(), value)
        for name, value in parse_qsl(request.query, keep_blank_values=True)
        if _stands_for_header(name.lower()) and name not in request.headers
    ]
    if not hoisted:
        return request
    headers = Headers([*request.headers.pairs(), *hoisted])
    return dataclasses.replace(request, headers=headers)


def _stands_for_header(name: str) -> bool:
    of_amazon = name.startswith("x-amz-") and name not in _OF_THE_SIGNATURE
    return of_amazon or name in _CONTENT_HEADERS


# A bucket in the host name: what `*.localhost` resolves to is this machine (RFC 6761), and a proxy
# may bring the names of AWS itself.
_BUCKET_HOSTS = (
    re.compile(r"(?P<bucket>.+)\.s3(?:[.-][a-z0-9.-]+)?\.amazonaws\.com(?:\.cn)?"),
    re.compile(r"(?P<bucket>.+)\.s3\.localhost"),
    re.compile(r"(?P<bucket>(?!s3\.).+)\.localhost"),
)


def path_style(request: HttpRequest) -> HttpRequest:
    """A virtual-hosted S3 request (`bucket.localhost/key`) with the bucket in its path."""
    host = host_name(request)
    for pattern in _BUCKET_HOSTS:
        found = pattern.fullmatch(host)
        if found and found["bucket"] != "s3":
            return dataclasses.replace(request, path=f"/{found['bucket']}{request.path}")
    return request

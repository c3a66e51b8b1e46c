"""From a result, or a fault, to a response in the protocol of its service."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from botocore.model import OperationModel, StructureShape

from sagelocal.protocol import cbor, event_stream, json_codec, rest_bindings
from sagelocal.protocol.faults import Fault
from sagelocal.protocol.http import HttpRequest, HttpResponse
from sagelocal.protocol.models import Service, wire_name
from sagelocal.protocol.requests import protocol_of
from sagelocal.protocol.xml_codec import Writer, escape

_XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_S3_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

Header = tuple[str, str]

_CBOR_HEADERS: tuple[Header, ...] = (
    ("smithy-protocol", "rpc-v2-cbor"),
    ("Content-Type", "application/cbor"),
)

# What S3 calls the root of an answer, where its shape is called otherwise (API Reference of S3,
# "Response Syntax" of each action). botocore does not look at it, other clients do.
_S3_ROOTS = {
    "ListBuckets": "ListAllMyBucketsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListParts": "ListPartsResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "DeleteObjects": "DeleteResult",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketTagging": "Tagging",
    "GetObjectTagging": "Tagging",
    "GetBucketAcl": "AccessControlPolicy",
    "GetObjectAcl": "AccessControlPolicy",
    "GetBucketCors": "CORSConfiguration",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetBucketWebsite": "WebsiteConfiguration",
    "GetObjectAttributes": "GetObjectAttributesResponse",
}


def serialise(
    service: Service,
    operation: OperationModel,
    result: Mapping[str, Any],
    request_id: str,
    protocol: str | None = None,
) -> HttpResponse:
    """The response to a call that succeeded, in the protocol given, else the service's own.

    A streaming member may be bytes or chunks; a stream of events is an iterable of them.
    `ResponseMetadata` in the result, in boto3's shape (`HTTPStatusCode`, `HTTPHeaders`), sets a
    status and headers that no member stands for.
    """
    protocol = protocol or service.protocol
    match protocol:
        case "smithy-rpc-v2-cbor":
            response = _cbor(operation, result)
        case "json":
            response = _json(service, operation, result)
        case "query" | "ec2":
            response = _query(service, operation, result, request_id)
        case "rest-json" | "rest-xml":
            response = _rest(service, operation, result)
        case _:
            raise ValueError(f"{service.name} speaks {protocol}, which is not written here")
    extra = result.get("ResponseMetadata", {})
    return HttpResponse(
        int(extra.get("HTTPStatusCode", response.status)),
        (
            *_identification(protocol, service.name, request_id),
            *response.headers,
            *extra.get("HTTPHeaders", {}).items(),
        ),
        response.body,
    )


def _identification(protocol: str, service: str, request_id: str) -> tuple[Header, ...]:
    if service == "s3" or protocol == "rest-xml":
        return (("x-amz-request-id", request_id), ("x-amz-id-2", f"sagelocal/{request_id}"))
    return (("x-amzn-RequestId", request_id),)


def _cbor(operation: OperationModel, result: Mapping[str, Any]) -> HttpResponse:
    shape = operation.output_shape
    body = cbor.encode(shape, result) if shape else b""
    return HttpResponse(200, _CBOR_HEADERS, body)


def _json(service: Service, operation: OperationModel, result: Mapping[str, Any]) -> HttpResponse:
    shape = operation.output_shape
    if shape is None:
        # Operations that answer nothing still say which protocol they speak.
        return HttpResponse(200, (_json_type(service),), b"")
    document = json_codec.encode_members(shape, shape.members, result)
    return HttpResponse(200, (_json_type(service),), _dump(document))


def _json_type(service: Service) -> Header:
    version = service.model.metadata.get("jsonVersion", "1.0")
    return ("Content-Type", f"application/x-amz-json-{version}")


def _dump(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _query(
    service: Service, operation: OperationModel, result: Mapping[str, Any], request_id: str
) -> HttpResponse:
    writer = Writer(milliseconds=False)
    shape = operation.output_shape
    name = operation.name
    inside = ""
    if shape is not None:
        writer.members(shape.members, result)
        wrapper = shape.serialization.get("resultWrapper")
        inside = f"<{wrapper}>{writer.text()}</{wrapper}>" if wrapper else writer.text()
    text = (
        f'<{name}Response xmlns="{escape(_namespace(service))}">{inside}'
        f"<ResponseMetadata><RequestId>{escape(request_id)}</RequestId></ResponseMetadata>"
        f"</{name}Response>"
    )
    return HttpResponse(200, (("Content-Type", "text/xml"),), text.encode())


def _namespace(service: Service) -> str:
    return str(service.model.metadata.get("xmlNamespace", ""))


def _rest(service: Service, operation: OperationModel, result: Mapping[str, Any]) -> HttpResponse:
    shape = operation.output_shape
    status = int(operation.http.get("responseCode", 200))
    if shape is None:
        return HttpResponse(status)
    if service.name == "s3" and result.get("ContentRange"):
        # The model has no word for it: a part of an object is 206 (RFC 9110, 15.3.7).
        status = HTTPStatus.PARTIAL_CONTENT
    status = rest_bindings.status_code(shape, result) or status
    headers = list(rest_bindings.encode_headers(shape, result))
    body, content_type = _rest_body(service, operation, shape, result)
    if content_type and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", content_type))
    return HttpResponse(status, tuple(headers), body)


def _rest_body(
    service: Service, operation: OperationModel, shape: StructureShape, result: Mapping[str, Any]
) -> tuple[bytes | Iterable[bytes], str | None]:
    payload = shape.serialization.get("payload")
    if payload:
        member = shape.members[payload]
        value = result.get(payload)
        if event_stream.is_event_stream(member):
            assert isinstance(member, StructureShape)
            return event_stream.EventStream(member, value or ()), event_stream.CONTENT_TYPE
        if not isinstance(member, StructureShape):
            return (value.encode() if isinstance(value, str) else value or b""), None
        if value is None:
            return b"", None
        if service.protocol == "rest-json":
            return _dump(json_codec.encode(member, value)), "application/json"
        return _xml_document(wire_name(member, payload), member, value), "application/xml"
    members = rest_bindings.body_members(shape)
    if service.protocol == "rest-json":
        return _dump(json_codec.encode_members(shape, members, result)), "application/json"
    if operation.name == "GetBucketLocation":
        return _bucket_location(result), "application/xml"
    if not members:
        return b"", None
    writer = Writer(milliseconds=True)
    writer.members(members, result)
    return _xml_root(_S3_ROOTS.get(operation.name, shape.name), writer), "application/xml"


def _xml_document(name: str, shape: StructureShape, value: Mapping[str, Any]) -> bytes:
    writer = Writer(milliseconds=True)
    writer.members(shape.members, value)
    return _xml_root(name, writer)


def _xml_root(name: str, writer: Writer) -> bytes:
    return (f'{_XML_DECLARATION}<{name} xmlns="{_S3_NAMESPACE}">{writer.text()}</{name}>').encode()


def _bucket_location(result: Mapping[str, Any]) -> bytes:
    """Where the shape has a member S3 has a bare root; us-east-1 is empty."""
    region = result.get("LocationConstraint")
    content = escape(region) if region and region != "us-east-1" else ""
    name = "LocationConstraint"
    return f'{_XML_DECLARATION}<{name} xmlns="{_S3_NAMESPACE}">{content}</{name}>'.encode()


def serialise_fault(
    service: Service | None, request: HttpRequest, fault: Fault, request_id: str
) -> HttpResponse:
    """The response to a call that failed, in the protocol that the client expects.

    `service` is None when botocore knows none of that name; the request itself then tells the
    protocol.
    """
    protocol = protocol_of(service, request)
    shape = service.error(fault.code) if service else None
    status = _status(fault, shape)
    name = service.name if service else ""
    headers = (*_identification(protocol, name, request_id), *fault.headers.items())
    if request.method == "HEAD" or status == HTTPStatus.NOT_MODIFIED:
        return HttpResponse(status, headers)
    bound, content_type, body = _fault_body(service, protocol, shape, request, fault, request_id)
    return HttpResponse(status, (*headers, *bound, ("Content-Type", content_type)), body)


def _status(fault: Fault, shape: StructureShape | None) -> int:
    """The fault's own status; where that is the default, what the model says of the error."""
    if fault.status != HTTPStatus.BAD_REQUEST or shape is None:
        return fault.status
    return int(shape.metadata.get("error", {}).get("httpStatusCode", fault.status))


def _fault_body(
    service: Service | None,
    protocol: str,
    shape: StructureShape | None,
    request: HttpRequest,
    fault: Fault,
    request_id: str,
) -> tuple[tuple[Header, ...], str, bytes]:
    """Headers of the error's members, content type and body."""
    if protocol == "smithy-rpc-v2-cbor":
        body = cbor.text_map({"__type": fault.code, "message": fault.message})
        return _CBOR_HEADERS[:1], _CBOR_HEADERS[1][1], body
    if protocol == "rest-xml":
        return (), "application/xml", _s3_error(request, fault, request_id)
    code = _wire_code(fault, shape)
    if protocol == "query":
        namespace = _namespace(service) if service else ""
        return (), "text/xml", _query_error(namespace, code, fault, request_id)
    if protocol == "ec2":
        return (), "text/xml", _ec2_error(code, fault, request_id)
    bound = tuple(rest_bindings.encode_headers(shape, fault.members)) if shape else ()
    document = _error_document(shape, fault)
    if protocol == "rest-json":
        return (("x-amzn-ErrorType", code), *bound), "application/json", _dump(document)
    content_type = _json_type(service)[1] if service else "application/x-amz-json-1.1"
    return bound, content_type, _dump({"__type": code, **document})


def _wire_code(fault: Fault, shape: StructureShape | None) -> str:
    return str(shape.metadata.get("error", {}).get("code", fault.code)) if shape else fault.code


def _error_document(shape: StructureShape | None, fault: Fault) -> dict[str, Any]:
    """The message, under the name the shape gives it, and the shape's other members."""
    if shape is None:
        return {"message": fault.message, **fault.members}
    name = next((n for n in shape.members if n.lower() == "message"), "message")
    members = rest_bindings.body_members(shape)
    return {name: fault.message, **json_codec.encode_members(shape, members, fault.members)}


def _s3_error(request: HttpRequest, fault: Fault, request_id: str) -> bytes:
    fields = {
        "Code": fault.code,
        "Message": fault.message,
        **fault.members,
        "Resource": request.path,
        "RequestId": request_id,
        "HostId": f"sagelocal/{request_id}",
    }
    inside = "".join(f"<{k}>{escape(str(v))}</{k}>" for k, v in fields.items())
    return f"{_XML_DECLARATION}<Error>{inside}</Error>".encode()


def _query_error(namespace: str, code: str, fault: Fault, request_id: str) -> bytes:
    blame = "Sender" if fault.status < HTTPStatus.INTERNAL_SERVER_ERROR else "Receiver"
    attribute = f' xmlns="{escape(namespace)}"' if namespace else ""
    return (
        f"<ErrorResponse{attribute}><Error><Type>{blame}</Type><Code>{escape(code)}</Code>"
        f"<Message>{escape(fault.message)}</Message></Error>"
        f"<RequestId>{escape(request_id)}</RequestId></ErrorResponse>"
    ).encode()


def _ec2_error(code: str, fault: Fault, request_id: str) -> bytes:
    return (
        f"{_XML_DECLARATION}<Response><Errors><Error><Code>{escape(code)}</Code>"
        f"<Message>{escape(fault.message)}</Message></Error></Errors>"
        f"<RequestID>{escape(request_id)}</RequestID></Response>"
    ).encode()

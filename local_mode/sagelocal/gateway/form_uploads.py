"""S3's upload by an HTML form (`generate_presigned_post`), as the PutObject that it amounts to.

No service model has this operation. The form's fields become headers, the file the body; what
PutObject answers is then told in the way that the form asks for.

Source: Amazon S3 API Reference, "POST Object".
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import BinaryIO, cast
from urllib.parse import quote, urlencode, urlsplit

from botocore.model import StructureShape

from sagelocal.gateway.dispatch import Exchange
from sagelocal.gateway.handlers import Handler
from sagelocal.protocol import form_data, models, xml_codec
from sagelocal.protocol.faults import Fault, malformed_xml
from sagelocal.protocol.form_data import FieldsTooLarge, Form, MalformedForm
from sagelocal.protocol.http import Headers, HttpRequest, HttpResponse
from sagelocal.protocol.identify import identify
from sagelocal.protocol.requests import path_style
from sagelocal.protocol.responses import serialise_fault
from sagelocal.protocol.xml_codec import escape
from sagelocal.services.s3.faults import invalid_argument
from sagelocal.services.s3.post_policies import check_policy, missing_field

_IN_MEMORY_BYTES = 1024 * 1024
_HEADERS = ("cache-control", "content-type", "content-disposition", "content-encoding", "expires")
_OF_THE_SIGNATURE = (
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-signature",
    "x-amz-security-token",
)


class FormUploads:
    """Answers form uploads by what `dispatch` answers to the PUT of the same object."""

    def __init__(self, dispatch: Handler) -> None:
        self._dispatch = dispatch

    def __call__(self, exchange: Exchange) -> HttpResponse | None:
        request = exchange.request
        if request.method != "POST":
            return None
        boundary = form_data.boundary_of(request.headers.get("content-type", ""))
        if boundary is None or identify(request).service != "s3":
            return None
        bucket = path_style(request).path.strip("/")
        if not bucket or "/" in bucket:
            return None
        try:
            return self._upload(exchange, bucket, boundary)
        except Fault as fault:
            exchange.service, exchange.fault = "s3", fault
            return serialise_fault(models.load("s3"), request, fault, exchange.request_id)
        finally:
            exchange.operation = "PostObject"

    def _upload(self, exchange: Exchange, bucket: str, boundary: bytes) -> HttpResponse | None:
        form = _read(exchange.request, boundary)
        sizes = check_policy(bucket, form.fields, time.time())
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as file:
            size = _copy(form, cast(BinaryIO, file))
            for each in sizes:
                each.check(size)
            key = form.fields["key"].replace("${filename}", form.filename)
            exchange.request = HttpRequest(
                "PUT",
                f"/{bucket}/{quote(key)}",
                headers=Headers([*_headers(form.fields), ("content-length", str(size))]),
                body=cast(BinaryIO, file),
                content_length=size,
            )
            answer = self._dispatch(exchange)
        if answer is None or answer.status != HTTPStatus.OK:
            return answer
        return _told(answer, _Upload(bucket, key, exchange.base_url), form.fields)


@dataclass(frozen=True)
class _Upload:
    """What was uploaded, and where the client found us."""

    bucket: str
    key: str
    base_url: str

    @property
    def location(self) -> str:
        return f"{self.base_url}/{self.bucket}/{quote(self.key)}"


def _read(request: HttpRequest, boundary: bytes) -> Form:
    try:
        form = form_data.read_form(request.body, boundary)
    except MalformedForm as error:
        raise _malformed() from error
    except FieldsTooLarge as error:
        raise Fault(
            "MaxPostPreDataLengthExceeded",
            "Your POST request fields preceding the upload file were too large.",
            members={"MaxPostPreDataLengthBytes": form_data.MOST_FIELD_BYTES},
        ) from error
    if not form.fields.get("key"):
        raise missing_field("key")
    if form.file is None:
        raise invalid_argument("POST requires exactly one file upload per request.", "file", 0)
    return form


def _copy(form: Form, file: BinaryIO) -> int:
    """The form's file in `file`, which stands at its beginning then; its size in bytes."""
    try:
        for piece in form.file or ():
            file.write(piece)
    except MalformedForm as error:
        raise _malformed() from error
    size = file.tell()
    file.seek(0)
    return size


def _malformed() -> Fault:
    return Fault(
        "MalformedPOSTRequest",
        "The body of your POST request is not well-formed multipart/form-data.",
    )


def _headers(fields: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        if name in _HEADERS or (name.startswith("x-amz-") and name not in _OF_THE_SIGNATURE):
            yield name, value
    if "acl" in fields:
        yield "x-amz-acl", fields["acl"]
    if "tagging" in fields:
        yield "x-amz-tagging", urlencode(_tags(fields["tagging"]))


def _tags(document: str) -> Mapping[str, str]:
    """The tags of a form, which says them in XML."""
    s3 = models.load("s3")
    shape = s3.model.shape_for("Tagging") if s3 else None
    if not isinstance(shape, StructureShape):
        raise TypeError("S3's model has no structure Tagging")
    try:
        tags = xml_codec.decode_document(shape, document.encode()).get("TagSet", [])
        return {tag["Key"]: tag.get("Value", "") for tag in tags}
    except (ValueError, KeyError) as error:
        raise malformed_xml() from error


def _told(answer: HttpResponse, upload: _Upload, fields: Mapping[str, str]) -> HttpResponse:
    """204, or the status or redirection that the form asks for."""
    headers = tuple(h for h in answer.headers if h[0].lower() != "content-length")
    etag = next((value for name, value in headers if name.lower() == "etag"), "")
    redirect = fields.get("success_action_redirect") or fields.get("redirect") or ""
    if urlsplit(redirect).scheme in ("http", "https"):
        told = urlencode({"bucket": upload.bucket, "key": upload.key, "etag": etag})
        joint = "&" if "?" in redirect else "?"
        return HttpResponse(303, (*headers, ("Location", f"{redirect}{joint}{told}")))
    headers = (*headers, ("Location", upload.location))
    status = fields.get("success_action_status", "")
    if status != "201":
        return HttpResponse(200 if status == "200" else 204, headers)
    values = {
        "Location": upload.location,
        "Bucket": upload.bucket,
        "Key": upload.key,
        "ETag": etag,
    }
    elements = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in values.items())
    document = f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{elements}</PostResponse>'
    return HttpResponse(201, (*headers, ("Content-Type", "application/xml")), document.encode())

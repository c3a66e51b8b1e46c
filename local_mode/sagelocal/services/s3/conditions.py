"""Conditional requests and ranges: which answer a reader or a writer gets.

Sources: RFC 9110, sections 13 (conditional requests) and 14 (ranges); Amazon S3 API Reference,
GetObject, "If-Match" and following, which agree on the order in which conditions count.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from email.utils import formatdate

from sagelocal.protocol.faults import Fault
from sagelocal.services.calls import Params
from sagelocal.services.s3.faults import no_such_key, not_offered, precondition_failed
from sagelocal.store.objects import Check, ObjectInfo

# More digits than an offset can have make no range.
_RANGE = re.compile(r"bytes=([0-9]{0,40})-([0-9]{0,40})", re.IGNORECASE)


def quoted(etag: str) -> str:
    return f'"{etag}"'


def check_read(info: ObjectInfo, params: Params) -> None:
    """Raise 412 or 304 when the request's conditions say so."""
    failed = _failed(info, params, "")
    if failed in ("If-Match", "If-Unmodified-Since"):
        raise precondition_failed(failed)
    if failed:
        raise Fault(
            "NotModified",
            "Not Modified",
            status=304,
            headers={
                "ETag": quoted(info.etag),
                "Last-Modified": formatdate(info.modified_at, usegmt=True),
            },
        )


def check_copy_source(info: ObjectInfo, params: Params) -> None:
    """The same for the source of a copy, where everything that fails is 412."""
    failed = _failed(info, params, "CopySource")
    if failed:
        raise precondition_failed(f"x-amz-copy-source-{failed}")


def write_check(key: str, params: Params) -> Check | None:
    """What a conditional write checks about the object that is there; None if unconditional."""
    none_match, match = params.get("IfNoneMatch"), params.get("IfMatch")
    if none_match not in (None, "*"):
        raise not_offered("If-None-Match", "If-None-Match of a write takes * only")
    if none_match and match:
        raise not_offered("If-None-Match", "If-Match and If-None-Match in one request")
    if none_match:
        return _must_not_exist
    if match:
        return _must_match(key, match)
    return None


def _must_not_exist(current: ObjectInfo | None) -> None:
    if current is not None:
        raise precondition_failed("If-None-Match")


def _must_match(key: str, match: str) -> Callable[[ObjectInfo | None], None]:
    def check(current: ObjectInfo | None) -> None:
        if current is None:
            raise no_such_key(key)
        if not _matches(match, current.etag):
            raise precondition_failed("If-Match")

    return check


def _failed(info: ObjectInfo, params: Params, prefix: str) -> str | None:
    """The first condition that does not hold, by its header's name."""
    match = params.get(f"{prefix}IfMatch")
    none_match = params.get(f"{prefix}IfNoneMatch")
    if match is not None:
        if not _matches(match, info.etag):
            return "If-Match"
    elif _modified_since(info, params.get(f"{prefix}IfUnmodifiedSince")) is True:
        return "If-Unmodified-Since"
    if none_match is not None:
        if _matches(none_match, info.etag):
            return "If-None-Match"
    elif _modified_since(info, params.get(f"{prefix}IfModifiedSince")) is False:
        return "If-Modified-Since"
    return None


def _matches(header: str, etag: str) -> bool:
    """Whether a list of ETags, quoted or not, has this one."""
    candidates = (candidate.strip() for candidate in header.split(","))
    return any(c == "*" or c.removeprefix("W/").strip('"') == etag for c in candidates)


def _modified_since(info: ObjectInfo, moment: datetime | None) -> bool | None:
    """Dates in headers have whole seconds; None when there is no such header."""
    return None if moment is None else int(info.modified_at) > moment.timestamp()


def resolve_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte that a Range header asks for; None where the whole object is due.

    A header that is no single range of bytes is ignored, as RFC 9110 wants it. Raises 416 for a
    range that begins behind the end.
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or not any(found.groups()):
        return None
    first, last = found.groups()
    if not first:
        start, end = max(size - int(last), 0), size - 1
    else:
        start, end = int(first), min(int(last), size - 1) if last else size - 1
        if last and int(last) < start:
            return None
    if start >= size:
        raise Fault(
            "InvalidRange",
            "The requested range is not satisfiable",
            status=416,
            members={"RangeRequested": header, "ActualObjectSize": size},
            headers={"Content-Range": f"bytes */{size}"},
        )
    return start, end

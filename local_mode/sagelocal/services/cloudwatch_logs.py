"""CloudWatch Logs of jobs and endpoints, read from the log files (CloudWatch Logs API reference).

Containers write these logs; clients read them. A stream's tokens are offsets in its file:
`f/OFFSET` reads on from there, `b/OFFSET` reads what comes before.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sagelocal.domain.metrics import as_shown
from sagelocal.domain.training import LOG_GROUP as TRAINING_JOBS
from sagelocal.protocol.faults import Fault
from sagelocal.services.calls import Call, OperationTable, Params, Result
from sagelocal.services.paging import position_of, token_of
from sagelocal.store.logs import MAX_EVENTS, LogEvent, LogPage, LogStream, NoSuchLog

if TYPE_CHECKING:
    from sagelocal.services.plane import Plane

MAX_DESCRIBED = 50
_TERM = re.compile(r'([-?]?)(?:"([^"]*)"|(\S+))')
_TOKEN = re.compile(r"^(?P<direction>[fb])/(?P<offset>\d+)$")


def describe_log_groups(plane: Plane, call: Call, params: Params) -> Result:
    """The log groups that have a stream."""
    prefix, pattern = params.get("logGroupNamePrefix", ""), params.get("logGroupNamePattern", "")
    names = [name for name in plane.logs.groups(prefix) if pattern.lower() in name.lower()]
    start, size = _position(params), int(params.get("limit", MAX_DESCRIBED))
    answer: dict[str, Any] = {
        "logGroups": [_group(plane, call, name) for name in names[start : start + size]]
    }
    if start + size < len(names):
        answer["nextToken"] = token_of(start + size)
    return answer


def describe_log_streams(plane: Plane, call: Call, params: Params) -> Result:
    """The streams of a group, in one answer.

    Every one that matches unless a limit was asked for: the SageMaker SDK 2.x asks again and again
    with the same request for as long as it is given a nextToken.
    """
    group = _group_name(params)
    by_time = params.get("orderBy") == "LastEventTime"
    if by_time and "logStreamNamePrefix" in params:
        raise _invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
    streams = list(_streams(plane, group, params.get("logStreamNamePrefix", "")))
    if by_time:
        streams.sort(key=lambda stream: stream.last_event_at or stream.created_at)
    if params.get("descending"):
        streams.reverse()
    start = _position(params)
    size = int(params.get("limit", len(streams)))
    answer: dict[str, Any] = {
        "logStreams": [_stream(call, group, stream) for stream in streams[start : start + size]]
    }
    if "limit" in params and start + size < len(streams):
        answer["nextToken"] = token_of(start + size)
    return answer


def get_log_events(plane: Plane, call: Call, params: Params) -> Result:
    """A page of a stream, oldest first; the token at an end is the one that was given."""
    group, stream = _group_name(params), params["logStreamName"]
    try:
        page = _page(plane, group, stream, params)
    except NoSuchLog as error:
        _streams(plane, group, stream)
        raise Fault(
            "ResourceNotFoundException", "The specified log stream does not exist."
        ) from error
    return {
        "events": [_event(group, event) for event in page.events],
        "nextForwardToken": f"f/{page.end}",
        "nextBackwardToken": f"b/{page.start}",
    }


def filter_log_events(plane: Plane, call: Call, params: Params) -> Result:
    """Events of some or all streams of a group, by time; patterns of plain terms."""
    group = _group_name(params)
    names = params.get("logStreamNames")
    prefix = params.get("logStreamNamePrefix", "")
    if names is not None and prefix:
        raise _invalid("Only one of logStreamNames and logStreamNamePrefix can be provided.")
    streams = [s.name for s in _streams(plane, group, prefix) if names is None or s.name in names]
    matches = _term_filter(params.get("filterPattern", ""))
    since, until = params.get("startTime", 0), params.get("endTime")
    found = sorted(
        (
            (event.timestamp, stream, number, event)
            for stream in streams
            for number, event in enumerate(plane.logs.lines(group, stream))
            if event.timestamp >= since
            and (until is None or event.timestamp <= until)
            and matches(event.text)
        ),
        key=lambda item: item[:3],
    )
    start, size = _position(params), int(params.get("limit", MAX_EVENTS))
    answer: dict[str, Any] = {
        "events": [
            {
                "logStreamName": stream,
                "eventId": _event_id(stream, number, time),
                **_event(group, event),
            }
            for time, stream, number, event in found[start : start + size]
        ],
        "searchedLogStreams": [],
    }
    if start + size < len(found):
        answer["nextToken"] = token_of(start + size)
    return answer


def _page(plane: Plane, group: str, stream: str, params: Params) -> LogPage:
    limit = int(params.get("limit", MAX_EVENTS))
    since, until = params.get("startTime"), params.get("endTime")
    token = params.get("nextToken")
    if token is None:
        forwards = bool(params.get("startFromHead", False))
        start = plane.logs.offset_of(group, stream, since or 0)
        offset = start if forwards else None
        if until is not None and not forwards:
            offset = plane.logs.offset_of(group, stream, until)
    else:
        direction, offset = _read_token(token)
        forwards = direction == "f"
    if forwards:
        return plane.logs.forwards(group, stream, offset or 0, limit=limit, before_ms=until)
    return plane.logs.backwards(group, stream, offset, limit=limit, since_ms=since)


def _position(params: Params) -> int:
    try:
        return position_of(params.get("nextToken"))
    except Fault as error:
        raise _invalid_token() from error


def _read_token(token: str) -> tuple[str, int]:
    match = _TOKEN.match(token)
    if match is None:
        raise _invalid_token()
    return match["direction"], int(match["offset"])


def _invalid(message: str) -> Fault:
    return Fault("InvalidParameterException", message)


def _invalid_token() -> Fault:
    return _invalid("The specified nextToken is invalid.")


def _term_filter(pattern: str) -> Callable[[str], bool]:
    """Whether a message fits a pattern of terms, words or "phrases in quotes".

    It has every one, none of those behind a `-`, and, if any are behind a `?`, one of these.
    """
    if pattern.lstrip()[:1] in ("{", "[", "%"):
        raise _invalid(
            f"The filter pattern {pattern!r} is not supported: only terms and quoted phrases are"
        )
    terms: dict[str, list[str]] = {"": [], "-": [], "?": []}
    for sign, quoted, word in _TERM.findall(pattern):
        terms[sign].append(quoted or word)
    every, none, some = terms[""], terms["-"], terms["?"]

    def fits(text: str) -> bool:
        if any(term in text for term in none) or not all(term in text for term in every):
            return False
        return not some or any(term in text for term in some)

    return fits


def _streams(plane: Plane, group: str, prefix: str) -> Sequence[LogStream]:
    try:
        return plane.logs.streams(group, prefix)
    except NoSuchLog as error:
        raise Fault(
            "ResourceNotFoundException", "The specified log group does not exist."
        ) from error


def _group_name(params: Params) -> str:
    """From logGroupName, or from logGroupIdentifier: a name or an ARN."""
    name = params.get("logGroupName") or params.get("logGroupIdentifier")
    if not name:
        raise _invalid("Either logGroupName or logGroupIdentifier must be specified.")
    return str(name).partition(":log-group:")[2].removesuffix(":*") or str(name)


def _group(plane: Plane, call: Call, name: str) -> dict[str, Any]:
    created, size = plane.logs.group_size(name)
    arn = call.scope.arn("logs", f"log-group:{name}")
    return {
        "logGroupName": name,
        "creationTime": created,
        "metricFilterCount": 0,
        "arn": f"{arn}:*",
        "logGroupArn": arn,
        "storedBytes": size,
        "logGroupClass": "STANDARD",
    }


def _stream(call: Call, group: str, stream: LogStream) -> dict[str, Any]:
    described: dict[str, Any] = {
        "logStreamName": stream.name,
        "creationTime": stream.created_at,
        "arn": call.scope.arn("logs", f"log-group:{group}:log-stream:{stream.name}"),
        "storedBytes": stream.size_bytes,
    }
    if stream.first_event_at is None or stream.last_event_at is None:
        return described
    return {
        **described,
        "firstEventTimestamp": stream.first_event_at,
        "lastEventTimestamp": stream.last_event_at,
        "lastIngestionTime": stream.last_event_at,
    }


def _event(group: str, event: LogEvent) -> dict[str, Any]:
    """Training jobs' tabs come out of CloudWatch as `#011`, and so they do here."""
    text = as_shown(event.text) if group == TRAINING_JOBS else event.text
    return {"timestamp": event.timestamp, "message": text, "ingestionTime": event.timestamp}


def _event_id(stream: str, number: int, timestamp: int) -> str:
    return f"{timestamp:020d}{zlib.crc32(stream.encode()):010d}{number:010d}"


OPERATIONS: OperationTable = {
    ("logs", "DescribeLogGroups"): describe_log_groups,
    ("logs", "DescribeLogStreams"): describe_log_streams,
    ("logs", "GetLogEvents"): get_log_events,
    ("logs", "FilterLogEvents"): filter_log_events,
}

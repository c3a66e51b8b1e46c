"""CloudWatch Logs of training jobs, read as the SageMaker SDK and boto3 read them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

GROUP = "/aws/sagemaker/TrainingJobs"


@pytest.fixture
def stream(training: Any) -> str:
    """The log stream of a job that printed the numbers from 0 to 24."""
    training.run("counting", "for n in range(25): print(n, flush=True); time.sleep(0.002)")
    streams = training.logs.describe_log_streams(logGroupName=GROUP)["logStreams"]
    assert len(streams) == 1
    name: str = streams[0]["logStreamName"]
    return name


def messages(answer: dict[str, Any]) -> list[int]:
    return [int(event["message"]) for event in answer["events"]]


def test_a_stream_is_named_after_job_host_and_second(training: Any, stream: str) -> None:
    job, _, host = stream.partition("/")
    assert job == "counting"
    assert host.startswith("algo-1-")
    assert (
        abs(int(host.removeprefix("algo-1-")) - training.describe(job)["CreationTime"].timestamp())
        < 60
    )
    (described,) = training.logs.describe_log_streams(
        logGroupName=GROUP, logStreamNamePrefix="counting/", orderBy="LogStreamName"
    )["logStreams"]
    assert described["firstEventTimestamp"] < described["lastEventTimestamp"]
    assert (
        training.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="x")[
            "logStreams"
        ]
        == []
    )


def test_no_next_token_of_streams_is_given_to_a_client_that_did_not_limit(
    training: Any, stream: str
) -> None:
    training.run("other")
    assert "nextToken" not in training.logs.describe_log_streams(logGroupName=GROUP)
    first = training.logs.describe_log_streams(logGroupName=GROUP, limit=1)
    second = training.logs.describe_log_streams(
        logGroupName=GROUP, limit=1, nextToken=first["nextToken"]
    )
    assert [s["logStreamName"] for s in first["logStreams"]] == [stream]
    assert second["logStreams"][0]["logStreamName"].startswith("other/")
    assert "nextToken" not in second


def test_pages_from_the_head_end_with_the_same_token(training: Any, stream: str) -> None:
    found: list[int] = []
    token: dict[str, str] = {}
    while True:
        page = training.logs.get_log_events(
            logGroupName=GROUP, logStreamName=stream, startFromHead=True, limit=10, **token
        )
        found += messages(page)
        if page["nextForwardToken"] == token.get("nextToken"):
            break
        token = {"nextToken": page["nextForwardToken"]}
    assert found == list(range(25))
    assert page["events"] == []


def test_pages_from_the_tail_go_backwards(training: Any, stream: str) -> None:
    found: list[int] = []
    token: dict[str, str] = {}
    while True:
        page = training.logs.get_log_events(
            logGroupName=GROUP, logStreamName=stream, limit=10, **token
        )
        found = messages(page) + found
        if page["nextBackwardToken"] == token.get("nextToken"):
            break
        token = {"nextToken": page["nextBackwardToken"]}
    assert found == list(range(25))


def test_times_select_events(training: Any, stream: str) -> None:
    events = training.logs.get_log_events(
        logGroupName=GROUP, logStreamName=stream, startFromHead=True
    )["events"]
    since, until = events[5]["timestamp"], events[20]["timestamp"]
    expected = [int(e["message"]) for e in events if since <= e["timestamp"] < until]
    for head in (True, False):
        page = training.logs.get_log_events(
            logGroupName=GROUP,
            logStreamName=stream,
            startFromHead=head,
            startTime=since,
            endTime=until,
        )
        assert messages(page) == expected


def test_a_filter_finds_terms_in_all_streams(training: Any, stream: str) -> None:
    training.run("other", "print('the number 7'); print('none')")
    found = training.logs.filter_log_events(logGroupName=GROUP, filterPattern="7")["events"]
    assert [event["message"] for event in found] == ["7", "17", "the number 7"]
    assert len({event["eventId"] for event in found}) == 3
    for pattern, messages_found in (
        ("number -none", ["the number 7"]),
        ("?none ?17", ["17", "none"]),
        ('?"number 7" ?none the', ["the number 7"]),
    ):
        page = training.logs.filter_log_events(logGroupName=GROUP, filterPattern=pattern)
        assert messages_found == [event["message"] for event in page["events"]], pattern
    pages = training.logs.get_paginator("filter_log_events").paginate(
        logGroupName=GROUP, logStreamNames=[stream], PaginationConfig={"PageSize": 4}
    )
    assert [int(e["message"]) for page in pages for e in page["events"]] == list(range(25))


def test_groups_are_those_that_have_logs(training: Any, stream: str) -> None:
    (group,) = training.logs.describe_log_groups(logGroupNamePrefix="/aws/sagemaker")["logGroups"]
    assert group["logGroupName"] == GROUP
    assert group["storedBytes"] > 0
    assert group["arn"] == f"arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}:*"


@pytest.mark.parametrize(
    ("operation", "parameters", "code"),
    [
        ("describe_log_streams", {"logGroupName": "/nobody"}, "ResourceNotFoundException"),
        (
            "get_log_events",
            {"logGroupName": GROUP, "logStreamName": "nobody"},
            "ResourceNotFoundException",
        ),
        (
            "filter_log_events",
            {"logGroupName": GROUP, "filterPattern": "{ $.a = 1 }"},
            "InvalidParameterException",
        ),
        ("get_log_events", {"logStreamName": "x"}, "InvalidParameterException"),
        (
            "describe_log_streams",
            {"logGroupName": GROUP, "logStreamNamePrefix": "c", "orderBy": "LastEventTime"},
            "InvalidParameterException",
        ),
        (
            "filter_log_events",
            {"logGroupName": GROUP, "logStreamNamePrefix": "c", "logStreamNames": ["c"]},
            "InvalidParameterException",
        ),
    ],
)
def test_says_what_it_does_not_find(
    training: Any, stream: str, operation: str, parameters: dict[str, Any], code: str
) -> None:
    with pytest.raises(ClientError) as error:
        getattr(training.logs, operation)(**parameters)
    assert error.value.response["Error"]["Code"] == code


def test_says_whether_it_is_the_group_or_the_stream_that_is_not_there(
    training: Any, stream: str
) -> None:
    for group, missing in (("/nobody", "group"), (GROUP, "stream")):
        with pytest.raises(ClientError, match=f"The specified log {missing} does not exist"):
            training.logs.get_log_events(logGroupName=group, logStreamName="nobody")


def test_a_token_of_somebody_else_is_refused(training: Any, stream: str) -> None:
    with pytest.raises(ClientError, match="The specified nextToken is invalid"):
        training.logs.get_log_events(logGroupName=GROUP, logStreamName=stream, nextToken="x")
    with pytest.raises(ClientError, match=r"InvalidParameterException.*nextToken is invalid"):
        training.logs.describe_log_streams(logGroupName=GROUP, nextToken="x")

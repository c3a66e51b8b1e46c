"""A job or an endpoint watched to its end through the API, with its log from CloudWatch Logs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sagelocal.account import Account, NotThere, Unreachable
from sagelocal.cloud.spec import Kind


class Progress(Protocol):
    """Is told what happens, as it happens."""

    def phase(self, status: str, message: str) -> None: ...

    def line(self, text: str) -> None: ...


@dataclass(frozen=True)
class _Watched:
    """How a kind is described: the call, its name there, statuses, and where its log is."""

    describe: str
    name: str
    status: str
    going_on: frozenset[str]
    good: str
    log_group: str
    stop: str
    stop_command: str


WATCHED: Mapping[Kind, _Watched] = {
    "training": _Watched(
        "describe_training_job",
        "TrainingJobName",
        "TrainingJobStatus",
        frozenset({"InProgress", "Stopping"}),
        "Completed",
        "/aws/sagemaker/TrainingJobs",
        "stop_training_job",
        "aws sagemaker stop-training-job --training-job-name",
    ),
    "endpoint": _Watched(
        "describe_endpoint",
        "EndpointName",
        "EndpointStatus",
        frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack"}),
        "InService",
        "/aws/sagemaker/Endpoints/{name}",
        "delete_endpoint",
        "aws sagemaker delete-endpoint --endpoint-name",
    ),
    "transform": _Watched(
        "describe_transform_job",
        "TransformJobName",
        "TransformJobStatus",
        frozenset({"InProgress", "Stopping"}),
        "Completed",
        "/aws/sagemaker/TransformJobs",
        "stop_transform_job",
        "aws sagemaker stop-transform-job --transform-job-name",
    ),
}


@dataclass(frozen=True)
class Ended:
    """How it came out: the last description, and whether that is what was wanted."""

    status: str
    succeeded: bool
    reason: str | None
    description: Mapping[str, Any]


def follow(
    account: Account,
    kind: Kind,
    name: str,
    progress: Progress,
    poll_seconds: float,
    patience_seconds: float,
) -> Ended:
    """Tell of everything until it has ended, or is in service.

    While nobody answers it tries again, for as long as its patience lasts: a laptop loses its
    network sooner than a job ends. Raises CloudError.
    """
    watched = WATCHED[kind]
    log = LogReader(account, watched.log_group.format(name=name), _prefix(kind, name))
    told: list[tuple[str, str]] = []
    answered = time.monotonic()
    while True:
        try:
            found = describe(account, kind, name)
            # Read after the description, so that an ended job's log is whole.
            for text in log.new_lines():
                progress.line(text)
        except Unreachable as error:
            if time.monotonic() - answered > patience_seconds:
                raise
            if told[-1:] != [("Waiting", str(error))]:
                told.append(("Waiting", str(error)))
                progress.phase("Waiting", str(error))
            time.sleep(poll_seconds)
            continue
        answered = time.monotonic()
        for status, message in _phases(found, watched):
            if (status, message) not in told:
                told.append((status, message))
                progress.phase(status, message)
        status = str(found[watched.status])
        if status not in watched.going_on:
            return Ended(status, status == watched.good, found.get("FailureReason"), found)
        time.sleep(poll_seconds)


def describe(account: Account, kind: Kind, name: str) -> dict[str, Any]:
    """The service's description. Raises CloudError, NotThere."""
    watched = WATCHED[kind]
    return account.call("sagemaker", watched.describe, **{watched.name: name})


def stop(account: Account, kind: Kind, name: str) -> None:
    """Stop a job, or delete an endpoint. Raises CloudError."""
    watched = WATCHED[kind]
    account.call("sagemaker", watched.stop, **{watched.name: name})


class LogReader:
    """The lines of a group's streams, each once. A group or stream that is not there is empty."""

    def __init__(self, account: Account, group: str, prefix: str) -> None:
        self._account = account
        self._group = group
        self._prefix = prefix
        self._tokens: dict[str, str] = {}

    def new_lines(self) -> Iterator[str]:
        """What has come since the last time; with several streams each line says whose it is."""
        streams = self._streams()
        for stream in streams:
            label = stream.removeprefix(self._prefix).partition("/")[0].rpartition("-")[0]
            for line in self._lines(stream):
                yield f"[{label or stream}] {line}" if len(streams) > 1 else line

    def _streams(self) -> list[str]:
        found: list[str] = []
        parameters: dict[str, Any] = {"logGroupName": self._group}
        if self._prefix:
            parameters["logStreamNamePrefix"] = self._prefix
        while True:
            try:
                page = self._account.call("logs", "describe_log_streams", **parameters)
            except NotThere:
                return found
            found += [stream["logStreamName"] for stream in page["logStreams"]]
            if not page.get("nextToken"):
                return found
            parameters["nextToken"] = page["nextToken"]

    def _lines(self, stream: str) -> Iterator[str]:
        while True:
            token = self._tokens.get(stream)
            parameters: dict[str, Any] = {"nextToken": token} if token else {}
            try:
                page = self._account.call(
                    "logs",
                    "get_log_events",
                    logGroupName=self._group,
                    logStreamName=stream,
                    startFromHead=True,
                    **parameters,
                )
            except NotThere:
                return
            for event in page["events"]:
                yield str(event["message"])
            # The token at the end of a stream is the one that was given.
            if page["nextForwardToken"] == token:
                return
            self._tokens[stream] = page["nextForwardToken"]


def _prefix(kind: Kind, name: str) -> str:
    return "" if kind == "endpoint" else f"{name}/"


def _phases(found: Mapping[str, Any], watched: _Watched) -> Iterator[tuple[str, str]]:
    """The secondary statuses of a training job, else the status itself."""
    transitions = found.get("SecondaryStatusTransitions")
    if not transitions:
        yield str(found[watched.status]), ""
    for transition in transitions or ():
        yield str(transition["Status"]), str(transition.get("StatusMessage", ""))

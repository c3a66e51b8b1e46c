"""How a stream ends for its client, whatever ends it in the plane."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from sagelocal.domain.names import Scope
from sagelocal.engine.invocation import StreamFault
from sagelocal.services.calls import Call
from sagelocal.services.invocations import _Events


class Stream:
    """A model's stream that gives one part and then fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield b"first"
        raise self._error

    def close(self) -> None:
        self.closed = True


def events(stream: Any) -> _Events:
    scope = Scope("000000000000", "us-east-1")
    call = Call("sagemaker-runtime", "Invoke", scope, "request-1", "http://127.0.0.1")
    return _Events(stream, call)


def test_a_fault_of_the_models_stream_is_told_by_its_code() -> None:
    stream = Stream(StreamFault("StreamBroken", "it broke off"))
    assert list(events(stream)) == [
        {"PayloadPart": {"Bytes": b"first"}},
        {"ModelStreamError": {"Message": "it broke off", "ErrorCode": "StreamBroken"}},
    ]


def test_a_fault_of_the_plane_is_an_internal_failure_with_its_reason_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stream = Stream(RuntimeError("a secret of ours"))
    with caplog.at_level(logging.ERROR):
        *_, last = events(stream)
    assert list(last) == ["InternalStreamFailure"]
    assert "request-1" in last["InternalStreamFailure"]["Message"]
    assert "secret" not in last["InternalStreamFailure"]["Message"]
    assert "a secret of ours" in caplog.text


def test_closing_the_events_closes_the_stream_even_if_none_was_read() -> None:
    stream = Stream(RuntimeError())
    events(stream).close()
    assert stream.closed

"""No request does worse to a server than to be refused.

Real servers, raw sockets. Whatever is sent, an answer that is the caller's fault is a 4xx with a
JSON body and no 5xx; nothing of the server's inside is in it; no worker dies; and at the end the
log has no stack trace. Every run of the tests sends a few hundred requests, the same ones each
time, to the servers that are there at once; `make fuzz` sends more than ten thousand, others each
time, to all of them.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serve.fuzz import strategies
from tests.serve.fuzz.targets import TARGETS, Target
from tests.serve.fuzz.wire import Answer, Message, NotAnAnswer, answers, exchange

# How many requests of each kind each server gets; `make fuzz` says how many.
ASKED = os.environ.get("SAGELOCAL_FUZZ_EXAMPLES")
EXAMPLES = int(ASKED or 25)

# Not those that import a framework first.
AT_ONCE = {"script", "linear_learner", "many_models"}

pytestmark = pytest.mark.timeout(300 if not ASKED else 3600)

fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not ASKED,
    database=None if not ASKED else settings.default.database,  # type: ignore[union-attr]
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

SENT = 0
STATUSES: Counter[int] = Counter()

READY_SECONDS = 120.0

FINE = {200, 204}
REFUSALS = {400, 404, 405, 406, 408, 411, 413, 414, 415, 417, 426, 431}

# What only the inside of a server can say, beside the names of its folders.
INSIDE = [
    re.compile(rb"Traceback \(most recent call last\)"),
    re.compile(rb'File "[^"]*", line \d+'),
    re.compile(rb"\bat 0x[0-9a-f]{6,}"),
    re.compile(rb"<html", re.I),
]


class Watched:
    """A target, and what must still be so at the end."""

    def __init__(self, target: Target, base: Path) -> None:
        self.target = target
        self.port: int = target.server.port
        self._processes = _descendants(target.server.process.pid)
        folders = (base, Path(sys.prefix), Path(__file__).parents[3], Path("/opt/ml"))
        self._folders = [re.compile(re.escape(str(folder).encode())) for folder in folders]

    def ask(self, sent: bytes, *, cuts: Sequence[int] = (), to_head: bool = False) -> list[Answer]:
        """The answers, each of which is fit for whoever sent these bytes."""
        global SENT
        SENT += 1
        received = exchange(self.port, sent, cuts)
        try:
            found = answers(received, to_head=to_head)
        except NotAnAnswer as error:
            raise AssertionError(f"{strategies.shown(sent)} was answered with {error}") from error
        for answer in found:
            self._check(answer, sent)
        return found

    def check_survived(self) -> None:
        """The same processes answer as at the beginning, and none has a tale to tell."""
        server = self.target.server
        assert server.request("GET", "/ping").status == 200
        gone = self._processes - _descendants(server.process.pid)
        assert not gone, f"processes {gone} have died:\n{server.log[-5000:]}"
        assert "Traceback" not in server.log, server.log[-5000:]

    def _check(self, answer: Answer, sent: bytes) -> None:
        STATUSES[answer.status] += 1
        case = f"{strategies.shown(sent)} was answered with {strategies.shown(answer)}"
        assert answer.status in FINE | REFUSALS, case
        # What is asked for may be a folder: GET /models says where each model lies.
        for pattern in INSIDE if answer.status in FINE else [*INSIDE, *self._folders]:
            found = pattern.search(answer.body)
            assert found is None or found[0] in sent, case
        if answer.status in REFUSALS and answer.body:
            assert answer.headers["content-type"] == "application/json", case
            document = json.loads(answer.body)
            assert set(document) == {"code", "type", "message"}, case
            assert document["code"] == answer.status, case
            assert document["message"].strip(), case


def _descendants(pid: int) -> set[int]:
    """The processes of a server that live as long as it does."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found |= {child, *_descendants(child)}
    return found


def _await_ready(server: Any) -> None:
    """Frameworks are long to import, and this machine may have other things to do."""
    deadline = time.monotonic() + READY_SECONDS
    while server.request("GET", "/ping").status != 200:
        assert time.monotonic() < deadline, server.log
        time.sleep(0.05)


@pytest.fixture(scope="module", params=sorted(TARGETS if ASKED else AT_ONCE))
def watched(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    new_server: Callable[..., Any],
) -> Iterator[Watched]:
    base = tmp_path_factory.mktemp("fuzz") / "ml"
    base.mkdir()
    target = TARGETS[request.param](new_server, base)
    try:
        _await_ready(target.server)
        watched = Watched(target, base)
        yield watched
        watched.check_survived()
    finally:
        target.server.close()


@fuzz
@given(st.data())
def test_bodies_are_read_or_refused(watched: Watched, data: st.DataObject) -> None:
    message = data.draw(strategies.invocations(watched.target.seeds, watched.target.paths))
    assert len(watched.ask(message.to_bytes())) == 1, strategies.shown(message)


@fuzz
@given(st.data())
def test_headers_methods_and_paths_are_understood_or_refused(
    watched: Watched, data: st.DataObject
) -> None:
    message = data.draw(strategies.decorated(watched.target.seeds, watched.target.paths))
    found = watched.ask(message.to_bytes(), to_head=message.method == b"HEAD")
    assert len(found) == 1, strategies.shown(message)


@fuzz
@given(st.data())
def test_what_is_no_http_is_refused_or_hung_up_on(watched: Watched, data: st.DataObject) -> None:
    watched.ask(data.draw(strategies.junk(watched.target.seeds)))


@settings(fuzz, max_examples=max(8, EXAMPLES // 4))
@given(st.data())
def test_the_answer_is_the_same_however_the_bytes_come(
    watched: Watched, data: st.DataObject
) -> None:
    message = data.draw(strategies.invocations(watched.target.seeds, watched.target.paths))
    sent = message.to_bytes()
    cuts = data.draw(st.lists(st.integers(0, len(sent)), min_size=1, max_size=4))
    (whole,), (torn,) = watched.ask(sent), watched.ask(sent, cuts=cuts)
    assert (whole.status, whole.body) == (torn.status, torn.body), strategies.shown(message)


def test_seeds_are_what_they_are_said_to_be(watched: Watched) -> None:
    for content_type, bodies in watched.target.seeds.items():
        statuses = set()
        for body in bodies:
            headers = [(b"Host", b"x"), (b"Content-Type", content_type.encode())]
            target = watched.target.paths[0].encode()
            message = Message(target=target, headers=headers, body=body)
            (answer,) = watched.ask(message.to_bytes())
            statuses.add(answer.status)
        assert statuses & {200, 415}, (content_type, statuses)


def test_as_many_requests_were_sent_as_are_promised(capsys: pytest.CaptureFixture[str]) -> None:
    """Runs last in this module; a run that was cut short must not pass for a whole one."""
    if not ASKED:
        return
    with capsys.disabled():
        told = ", ".join(f"{count} x {status}" for status, count in sorted(STATUSES.items()))
        print(f"\n{SENT} requests were answered with {told}")
    assert 3 * EXAMPLES * len(TARGETS) <= SENT
    assert {200, 204, 400, 404, 405, 406, 413, 414, 415, 431} <= set(STATUSES)

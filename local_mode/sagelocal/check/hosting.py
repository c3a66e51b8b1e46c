"""`serve`, run as an endpoint runs it; again, with one thing changed, where that tells why.

| run | what is other | for |
|---|---|---|
| whole | nothing | most rules |
| writable | /opt/ml/model may be written | model-read-only, if the whole run does not come up |
| roomy | 1 GB of /dev/shm | shared-memory, if the whole run does not come up |
| empty | no model | ping-honest |
| port | SAGEMAKER_BIND_TO_PORT | bind-to-port |
| isolated | no network; asked from inside | serve-network-isolation |
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sagelocal.check import rules
from sagelocal.check.archives import Tree, joined
from sagelocal.check.containers import LISTEN_PORT, Container, Engine, Plan, StartError
from sagelocal.check.findings import Finding, Outcome, broken, kept, skipped
from sagelocal.check.requests import Answer, Line, invoke, send
from sagelocal.check.subject import LABEL_BIND_TO_PORT, Subject

_MODEL = "/opt/ml/model"
_OTHER_PORT = 8765
_SAFE_PORTS = "21000-21999"
_AT_ONCE = 8
_LARGE_BYTES = 25 * 1024 * 1024
_ROOMY_BYTES = 1024**3
_UNKNOWN_TYPE = "application/x-sagelocal-unknown"
_LOOK_SECONDS = 0.05
_GRACE_TO_COME_UP = 30.0  # of runs beside the whole one, once that came up faster
_SIGKILLED = 137
# What a sample request tells, and what is tried with it when it is answered.
_OF_ANSWER = (rules.INVOCATION, rules.ANSWER_TIME)
_OF_ANSWERS = (rules.CONCURRENCY, rules.PING_TIME, rules.KEEP_ALIVE)
_PARAMETERS = {"MaxConcurrentTransforms": int, "BatchStrategy": str, "MaxPayloadInMB": int}
_ORPHAN_SECONDS = 0.2
_ORPHAN = f"(sleep {_ORPHAN_SECONDS} >/dev/null 2>&1 &) ; exit 0"
_REAPING_SECONDS = 3.0
# What asks /ping inside of a container, by what it may have.
_ASK_INSIDE = (
    "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/ping', timeout=2).status)"
)


def check_hosting(engine: Engine, subject: Subject) -> list[Finding]:
    """Every rule of `serve`, but for the calls of multi-model endpoints."""
    base = plan(subject)
    try:
        with engine.started(base) as container:
            ready = wait_until_ready(container, subject.limits.startup, subject.limits.ping)
            if ready is None:
                told = container.last_words()
                return _why(engine, subject, base, told)
            findings = _asked(container, subject, ready)
    except StartError as error:
        return _one_broken(rules.SERVE_ARGUMENT, str(error))
    patience = min(subject.limits.startup, 2 * ready + _GRACE_TO_COME_UP)
    with ThreadPoolExecutor(2) as pool:
        others = pool.map(
            lambda rule: rule(engine, subject, base, patience), (_honest, _bound, _isolated)
        )
        return [*findings, *others]


def plan(subject: Subject) -> Plan:
    """An endpoint's container."""
    return Plan(
        subject.image,
        ("serve",),
        environment=dict(subject.environment),
        read_only={_MODEL: subject.model or Tree()},
        port=LISTEN_PORT,
    )


def wait_until_ready(container: Container, seconds: float, ping_seconds: float) -> float | None:
    """Ask /ping until it says 200: the seconds that took, None if it did not or the end came."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        address = container.address()
        if address is None:
            return None
        if send(address, "GET", "/ping", timeout_seconds=ping_seconds).status == 200:
            return time.monotonic() - began
        if not container.runs:
            return None
        time.sleep(_LOOK_SECONDS)
    return None


def _asked(container: Container, subject: Subject, ready: float) -> list[Finding]:
    """Everything that is asked of the whole run, and its end."""
    address = container.address() or ""
    sample = _sample(address, subject)
    slow = any(each.rule is rules.ANSWER_TIME and each.outcome is Outcome.BROKEN for each in sample)
    return [
        kept(rules.SERVE_ARGUMENT, f"200 after {ready:.1f} s"),
        kept(rules.MODEL_READ_ONLY, "came up with a read-only /opt/ml/model"),
        kept(rules.SHARED_MEMORY, "came up with 64 MB of /dev/shm"),
        *sample,
        _unknown_type(address, subject),
        skipped(rules.LARGE_BODY, "even a small one takes too long, see answer-time")
        if slow
        else _large_body(container, address, subject),
        _wrong_method(address),
        _execution_parameters(address),
        _reaping(container),
        _sigterm(container, subject),
    ]


def _sample(address: str, subject: Subject) -> list[Finding]:
    """What needs a request that the image can answer."""
    sample, limits = subject.request, subject.limits
    if sample is None:
        why = "give a request: --request FILE --request-type TYPE"
        return [skipped(rule, why) for rule in (*_OF_ANSWER, *_OF_ANSWERS)]
    began = time.monotonic()
    first = invoke(address, sample, limits.invocation)
    seconds = time.monotonic() - began
    if not first.succeeded:
        return _unanswered(first, limits.invocation)
    with ThreadPoolExecutor(_AT_ONCE + 1) as pool:
        futures = [pool.submit(invoke, address, sample, limits.invocation) for _ in range(_AT_ONCE)]
        ping = pool.submit(_timed_ping, address, limits.ping)
        answers = [future.result() for future in futures]
        pinged = ping.result()
    return [
        kept(rules.INVOCATION, first.told()),
        kept(rules.ANSWER_TIME, f"{seconds:.2f} s"),
        _concurrency(answers),
        (kept if pinged.status == 200 else broken)(
            rules.PING_TIME, f"{pinged.told()} in {pinged.seconds:.2f} s"
        ),
        _keep_alive(address, subject),
    ]


def _unanswered(first: Answer, seconds: float) -> list[Finding]:
    """The sample got no answer, or none that is good: what else needs one is not tried."""
    if first.timed_out:
        findings = [
            skipped(rules.INVOCATION, "there was no answer in time, see answer-time"),
            broken(rules.ANSWER_TIME, f"no answer within {seconds:g} s"),
        ]
    else:
        findings = [
            broken(rules.INVOCATION, first.told()),
            skipped(rules.ANSWER_TIME, "the answer is none, see invocation"),
        ]
    why = "the sample request is not answered"
    return [*findings, *(skipped(rule, why) for rule in _OF_ANSWERS)]


def _concurrency(answers: list[Answer]) -> Finding:
    failed = [answer for answer in answers if not answer.succeeded]
    if failed:
        seen = f"{len(failed)} of {len(answers)} failed: {failed[0].told()}"
        return broken(rules.CONCURRENCY, seen)
    return kept(rules.CONCURRENCY, f"{len(answers)} of {len(answers)} answered")


def _timed_ping(address: str, seconds: float) -> Answer:
    began = time.monotonic()
    answer = send(address, "GET", "/ping", timeout_seconds=seconds)
    return replace(answer, seconds=time.monotonic() - began)


def _keep_alive(address: str, subject: Subject) -> Finding:
    """Asked twice on one connection; http.client opens a new one only when told it is closed."""
    assert subject.request is not None
    line = Line(address, subject.limits.invocation)
    try:
        first = line.send("POST", "/invocations", subject.request.body, subject.request.headers())
        still_open = line.is_open
    finally:
        line.close()
    seen = "the connection stays open" if still_open else f"closed after {first.told()}"
    return (kept if still_open else broken)(rules.KEEP_ALIVE, seen)


def _unknown_type(address: str, subject: Subject) -> Finding:
    headers = {"Content-Type": _UNKNOWN_TYPE}
    body = b"\x00\xff" * 8
    answer = send(address, "POST", "/invocations", body, headers, subject.limits.invocation)
    return (kept if answer.refused else broken)(rules.UNKNOWN_TYPE, answer.told())


def _large_body(container: Container, address: str, subject: Subject) -> Finding:
    sample = subject.request
    unit = sample.body.rstrip(b"\n") + b"\n" if sample and sample.body else b"0,0,0,0\n"
    body = (unit * (_LARGE_BYTES // len(unit) + 1))[:_LARGE_BYTES]
    headers = sample.headers() if sample else {"Content-Type": "text/csv"}
    answer = send(address, "POST", "/invocations", body, headers, subject.limits.invocation)
    if not answer.status or not container.runs:
        return broken(rules.LARGE_BODY, answer.told())
    return kept(rules.LARGE_BODY, answer.told())


def _wrong_method(address: str) -> Finding:
    answer = send(address, "GET", "/invocations")
    return (kept if answer.refused else broken)(rules.WRONG_METHOD, answer.told())


def _execution_parameters(address: str) -> Finding:
    answer = send(address, "GET", "/execution-parameters")
    good = answer.status in (404, 405) or (answer.status == 200 and _are_parameters(answer.body))
    return (kept if good else broken)(rules.EXECUTION_PARAMETERS, answer.told())


def _are_parameters(body: bytes) -> bool:
    try:
        found = json.loads(body)
    except ValueError:
        return False
    return isinstance(found, dict) and all(
        isinstance(found[name], kind) for name, kind in _PARAMETERS.items() if name in found
    )


def _reaping(container: Container) -> Finding:
    """A process whose parent has ended belongs to the first one, which has to fetch its end."""
    if not container.has_shell:
        return skipped(rules.REAPING, "the image has no /bin/sh to start a process with")
    container.run_inside(["/bin/sh", "-c", _ORPHAN])
    deadline = time.monotonic() + _REAPING_SECONDS
    while True:
        time.sleep(_ORPHAN_SECONDS)
        dead = container.dead_processes()
        if not dead:
            return kept(rules.REAPING, "an orphan that ended was reaped")
        if time.monotonic() > deadline:
            return broken(rules.REAPING, f"left behind: {', '.join(dead)}")


def _sigterm(container: Container, subject: Subject) -> Finding:
    status, seconds = container.stop(subject.limits.hosting_grace)
    seen = f"status {status} after {seconds:.1f} s"
    return (broken if status == _SIGKILLED else kept)(rules.SERVE_SIGTERM, seen)


def _why(engine: Engine, subject: Subject, base: Plan, told: str) -> list[Finding]:
    """It does not come up: which one change makes it, if any does."""
    inside = (subject.model or Tree()).below("model")
    for rule, other, change in (
        (
            rules.MODEL_READ_ONLY,
            replace(base, read_only={}, writable=joined(inside)),
            "With a writable /opt/ml/model",
        ),
        (rules.SHARED_MEMORY, replace(base, shm_bytes=_ROOMY_BYTES), "With 1 GB of /dev/shm"),
    ):
        patience = min(subject.limits.startup, _GRACE_TO_COME_UP)
        with engine.started(other) as container:
            if wait_until_ready(container, patience, subject.limits.ping) is not None:
                return _one_broken(rule, f"{change} it comes up; as the cloud starts it: {told}")
    return _one_broken(rules.SERVE_ARGUMENT, told)


def _one_broken(rule: rules.Rule, seen: str) -> list[Finding]:
    why = f"serve does not come up, see {rule.name}"
    return [broken(r, seen) if r is rule else skipped(r, why) for r in _HOSTING_RULES]


def _honest(engine: Engine, subject: Subject, base: Plan, patience: float) -> Finding:
    if subject.model is None:
        return skipped(rules.PING_HONEST, "no model was given, and none trained")
    with engine.started(replace(base, read_only={_MODEL: Tree()})) as container:
        ready = wait_until_ready(container, min(patience, 8.0), subject.limits.ping)
        if ready is None:
            return kept(rules.PING_HONEST, f"no 200 without a model: {container.last_words(1)}")
        if subject.request is not None:
            answer = invoke(container.address() or "", subject.request, subject.limits.invocation)
            if answer.succeeded:
                return kept(rules.PING_HONEST, "it needs no model: it answers without one")
    return broken(rules.PING_HONEST, "200 with an empty /opt/ml/model")


def _bound(engine: Engine, subject: Subject, base: Plan, patience: float) -> Finding:
    if not subject.has_label(LABEL_BIND_TO_PORT):
        return skipped(rules.BIND_TO_PORT, f"not labelled {LABEL_BIND_TO_PORT}")
    variables = {
        "SAGEMAKER_BIND_TO_PORT": str(_OTHER_PORT),
        "SAGEMAKER_SAFE_PORT_RANGE": _SAFE_PORTS,
    }
    other = replace(base, port=_OTHER_PORT, environment={**base.environment, **variables})
    with engine.started(other) as container:
        ready = wait_until_ready(container, patience, subject.limits.ping)
        if ready is None:
            seen = f"no 200 on port {_OTHER_PORT}: {container.last_words(1)}"
            return broken(rules.BIND_TO_PORT, seen)
    return kept(rules.BIND_TO_PORT, f"200 on port {_OTHER_PORT} after {ready:.1f} s")


def _isolated(engine: Engine, subject: Subject, base: Plan, patience: float) -> Finding:
    """Nobody can ask it from outside then, so a program of its own does."""
    with engine.started(replace(base, port=None, isolated=True)) as container:
        began = time.monotonic()
        while time.monotonic() - began < patience:
            if not container.runs:
                return broken(rules.SERVE_ISOLATION, container.last_words())
            status, said = container.run_inside(["python3", "-c", _ASK_INSIDE])
            if status == 0 and said.strip() == "200":
                return kept(rules.SERVE_ISOLATION, "200 without a network")
            if status in (126, 127):
                return skipped(rules.SERVE_ISOLATION, "the image has no python3 to ask with")
            time.sleep(_LOOK_SECONDS)
        return broken(rules.SERVE_ISOLATION, f"no 200 without a network: {container.last_words(1)}")


_HOSTING_RULES = (
    rules.SERVE_ARGUMENT,
    rules.MODEL_READ_ONLY,
    rules.SHARED_MEMORY,
    *_OF_ANSWER,
    *_OF_ANSWERS,
    rules.UNKNOWN_TYPE,
    rules.LARGE_BODY,
    rules.WRONG_METHOD,
    rules.EXECUTION_PARAMETERS,
    rules.REAPING,
    rules.SERVE_SIGTERM,
    rules.PING_HONEST,
    rules.BIND_TO_PORT,
    rules.SERVE_ISOLATION,
)

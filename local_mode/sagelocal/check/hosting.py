"""`serve`, run as an endpoint runs it; again, with one thing changed, where that tells why.

| run | what is other | for |
|---|---|---|
| whole | nothing | most rules |
| writable | /opt/ml/model may be written | model-read-only, if the whole run does not come up |
| roomy | 1 GB of /dev/shm | shared-memory, if the whole run does not come up |
| rooted | as root | non-root, if the whole run of an image with another user does not come up |
| empty | no model | ping-honest |
| restricted | all of: no network, SAGEMAKER_BIND_TO_PORT, a user not root | the next three |
| isolated | no network; asked from inside | serve-network-isolation, if that does not come up |
| port | SAGEMAKER_BIND_TO_PORT | bind-to-port, likewise |
| user | another user than root, if the image claims that | non-root, likewise |

The whole run has the machine to itself, for answers are timed. The others may have company.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from sagelocal.check import rules
from sagelocal.check.archives import Tree, joined
from sagelocal.check.chances import Chance
from sagelocal.check.containers import LISTEN_PORT, Container, Engine, Plan, StartError
from sagelocal.check.findings import Finding, Outcome, broken, kept, skipped
from sagelocal.check.requests import Answer, Line, invoke, send
from sagelocal.check.subject import LABEL_BIND_TO_PORT, Subject
from sagelocal.check.tasks import Part
from sagelocal.check.user import ROOT, as_own_user, claimed_user, own_user

_MODEL = "/opt/ml/model"
_OTHER_PORT = 8765
_SAFE_PORTS = "21000-21999"
_AT_ONCE = 8
_LARGE_BYTES = 25 * 1024 * 1024
_ROOMY_BYTES = 1024**3
_UNKNOWN_TYPE = "application/x-sagelocal-unknown"
_LOOK_SECONDS = 0.05
_GRACE_TO_COME_UP = 30.0  # of runs beside the whole one, once that came up faster
_SHORT_GRACE = 5.0  # the same, of a run after which there is another chance
_SIGKILLED = 137
# What a sample request tells, and what is tried with it when it is answered.
_OF_ANSWER = (rules.INVOCATION, rules.ANSWER_TIME)
_OF_ANSWERS = (rules.CONCURRENCY, rules.PING_TIME, rules.KEEP_ALIVE)
_PARAMETERS = {"MaxConcurrentTransforms": int, "BatchStrategy": str, "MaxPayloadInMB": int}
_OF_ITS_END = (rules.REAPING, rules.SERVE_SIGTERM)
_ENDING_SECONDS = 3.0
_REAPING_SECONDS = 3.0
_LOOK_AGAIN_SECONDS = 0.2
_READ_STATES = 'for file in /proc/[0-9]*/stat; do read -r line < "$file" && echo "$line"; done'
# A process whose parent has ended, and has itself ended when the states are read.
_LEAVE_AN_ORPHAN = "(sleep 0.2 >/dev/null 2>&1 &); sleep 0.4"
# What asks /ping inside of a container for so many seconds, and prints which port says 200: the
# wanted one, or another if that does and the wanted one does not soon after.
_ASK_INSIDE = """
import sys, time, urllib.request
wanted, other, seconds = sys.argv[1:]
end, found = time.monotonic() + float(seconds), None
def answers(port):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2).status == 200
    except Exception:
        return False
while time.monotonic() < end:
    if answers(wanted):
        found = wanted
        break
    if found is None and wanted != other and answers(other):
        end, found = time.monotonic() + 2, other
    time.sleep(0.05)
print(found)
"""
_ASK_SECONDS = 30.0


def check_hosting(engine: Engine, subject: Subject) -> Part:
    """Every rule of `serve`, but for the calls of multi-model endpoints."""
    base = plan(subject)
    try:
        with engine.started(base) as container:
            ready = wait_until_ready(container, subject.limits.startup, subject.limits.ping)
            if ready is None:
                told = _not_ready(container, subject)
                return Part(_why(engine, subject, base, told))
            chance = Chance(ready, container.cpu_seconds())
            findings = [*_came_up(subject, ready), *_asked(container, subject)]
    except StartError as error:
        return Part(_one_broken(rules.SERVE_ARGUMENT, str(error)))
    rest = (
        lambda: [_honest(engine, subject, base, chance)],
        lambda: _restricted(engine, subject, base, ready),
    )
    return Part(findings, rest)


def plan(subject: Subject) -> Plan:
    """An endpoint's container."""
    return Plan(
        subject.image,
        ("serve",),
        environment=dict(subject.environment),
        read_only={_MODEL: subject.model or Tree()},
        port=LISTEN_PORT,
    )


def wait_until_ready(
    container: Container, seconds: float, ping_seconds: float, chance: Chance | None = None
) -> float | None:
    """Ask /ping until it says 200: the seconds that took.

    None if it did not, the end came, or the chance was had that is given.
    """
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < seconds:
        address = container.address()
        if address is None:
            return None
        if send(address, "GET", "/ping", timeout_seconds=ping_seconds).status == 200:
            return time.monotonic() - began
        if chance is not None and chance.was_had(elapsed, container.cpu_seconds()):
            return None
        time.sleep(_LOOK_SECONDS if chance is None else _LOOK_AGAIN_SECONDS)
    return None


def _came_up(subject: Subject, ready: float) -> list[Finding]:
    return [
        kept(rules.SERVE_ARGUMENT, f"200 after {ready:.1f} s"),
        kept(rules.MODEL_READ_ONLY, "came up with a read-only /opt/ml/model"),
        kept(rules.SHARED_MEMORY, "came up with 64 MB of /dev/shm"),
        *as_own_user("serve", subject, "200"),
    ]


def _not_ready(container: Container, subject: Subject) -> str:
    """What it does in the place of a 200 on its port."""
    words = container.last_words()
    if not container.runs:
        return f"it ended with status {container.wait(_ENDING_SECONDS)}: {words}"
    answer = send(container.address() or "", "GET", "/ping", timeout_seconds=subject.limits.ping)
    if answer.status or answer.timed_out:
        said = answer.told() if answer.status else f"no answer within {subject.limits.ping:g} s"
        return f"GET /ping on port {LISTEN_PORT}: {said}; its log: {words}"
    listens = ", ".join(container.listens_on()) or "no port"
    return f"it listens on {listens}, and has to on 0.0.0.0:{LISTEN_PORT}; its log: {words}"


@dataclass(frozen=True)
class _Question:
    """Something to ask, and the rules that the answer tells of."""

    what: str
    rules: tuple[rules.Rule, ...]
    ask: Callable[[str], list[Finding]]


def _asked(container: Container, subject: Subject) -> list[Finding]:
    """Everything that is asked of the whole run, and its end.

    A container that ends over one question is started again for the next.
    """
    findings: list[Finding] = []
    ended: list[str] = []
    is_up = True
    for question in _questions(subject, findings):
        if not is_up:
            findings += [skipped(r, "it did not come up again") for r in question.rules]
            continue
        found = question.ask(container.address() or "")
        if _has_ended(container):
            ended.append(f"{question.what} ended it: {container.last_words()}")
            why = f"the container ended over it, see {rules.SURVIVES.name}"
            found = [skipped(f.rule, why) if f.outcome is Outcome.BROKEN else f for f in found]
            container.start()
            ready = wait_until_ready(container, subject.limits.startup, subject.limits.ping)
            is_up = ready is not None
        findings += [_with_log(each, container) for each in found]
    survived = (
        broken(rules.SURVIVES, "; ".join(ended))
        if ended
        else kept(rules.SURVIVES, "up after all of them")
    )
    if not is_up:
        gone = [skipped(rule, "it did not come up again") for rule in _OF_ITS_END]
        return [*findings, survived, *gone]
    return [*findings, survived, _reaping(container), _sigterm(container, subject)]


def _with_log(finding: Finding, container: Container) -> Finding:
    """The reason of an answer that is none is in the log."""
    if finding.rule is rules.INVOCATION and finding.outcome is Outcome.BROKEN:
        return replace(finding, seen=f"{finding.seen}; its log: {container.last_words()}")
    return finding


def _questions(subject: Subject, findings: Sequence[Finding]) -> Iterator[_Question]:
    """One after the other; `findings` are those of the ones before."""
    yield _Question(
        "the sample request", (*_OF_ANSWER, *_OF_ANSWERS), lambda at: _sample(at, subject)
    )
    yield _Question(
        f"a request of type {_UNKNOWN_TYPE}",
        (rules.UNKNOWN_TYPE,),
        lambda at: [_unknown_type(at, subject)],
    )
    if any(each.rule is rules.ANSWER_TIME and each.outcome is Outcome.BROKEN for each in findings):
        why = "even a small one takes too long, see answer-time"
        yield _Question("nothing", (), lambda at: [skipped(rules.LARGE_BODY, why)])
    else:
        yield _Question(
            "a body of 25 MB", (rules.LARGE_BODY,), lambda at: [_large_body(at, subject)]
        )
    yield _Question("GET /invocations", (rules.WRONG_METHOD,), lambda at: [_wrong_method(at)])
    yield _Question(
        "GET /execution-parameters",
        (rules.EXECUTION_PARAMETERS,),
        lambda at: [_execution_parameters(at)],
    )


def _has_ended(container: Container) -> bool:
    """Looked at for a moment where it does not answer: its end takes the engine a while to tell."""
    address = container.address()
    if address is None:
        return True
    if send(address, "GET", "/ping").status:
        return False
    return container.wait(_ENDING_SECONDS) is not None


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


def _large_body(address: str, subject: Subject) -> Finding:
    sample = subject.request
    unit = sample.body.rstrip(b"\n") + b"\n" if sample and sample.body else b"0,0,0,0\n"
    body = (unit * (_LARGE_BYTES // len(unit) + 1))[:_LARGE_BYTES]
    headers = sample.headers() if sample else {"Content-Type": "text/csv"}
    answer = send(address, "POST", "/invocations", body, headers, subject.limits.invocation)
    return (kept if answer.status else broken)(rules.LARGE_BODY, answer.told())


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
    status, said = container.run_inside(["/bin/sh", "-c", f"{_LEAVE_AN_ORPHAN}; {_READ_STATES}"])
    if status in (126, 127):
        return skipped(rules.REAPING, "the image has no /bin/sh to start a process with")
    deadline = time.monotonic() + _REAPING_SECONDS
    while dead := _dead_processes(said):
        if time.monotonic() > deadline:
            return broken(rules.REAPING, f"left behind: {', '.join(dead)}")
        time.sleep(_LOOK_AGAIN_SECONDS)
        _, said = container.run_inside(["/bin/sh", "-c", _READ_STATES])
    return kept(rules.REAPING, "an orphan that ended was reaped")


def _dead_processes(states: str) -> list[str]:
    """The names of processes that have ended and were not waited for, of `/proc/*/stat`.

    The engine's own list leaves them out: they are in no control group any more.
    """
    # `PID (name) STATE ...`, and the name may hold anything (proc(5)).
    entries = (line.partition("(")[2].rpartition(")") for line in states.splitlines())
    return [name for name, _, rest in entries if rest.split()[:1] == ["Z"]]


def _sigterm(container: Container, subject: Subject) -> Finding:
    status, seconds = container.stop(subject.limits.hosting_grace)
    seen = f"status {status} after {seconds:.1f} s"
    return (broken if status == _SIGKILLED else kept)(rules.SERVE_SIGTERM, seen)


def _why(engine: Engine, subject: Subject, base: Plan, told: str) -> list[Finding]:
    """It does not come up: which one change makes it, if any does."""
    inside = (subject.model or Tree()).below("model")
    as_root = [(rules.NON_ROOT, replace(base, user=ROOT), "As root")] if own_user(subject) else []
    changes = [
        *as_root,
        (
            rules.MODEL_READ_ONLY,
            replace(base, read_only={}, writable=joined(inside)),
            "With a writable /opt/ml/model",
        ),
        (rules.SHARED_MEMORY, replace(base, shm_bytes=_ROOMY_BYTES), "With 1 GB of /dev/shm"),
    ]
    for rule, other, change in changes:
        patience = min(subject.limits.startup, _GRACE_TO_COME_UP)
        with engine.started(other) as container:
            if wait_until_ready(container, patience, subject.limits.ping) is not None:
                return _one_broken(rule, f"{change} it comes up; as the cloud starts it: {told}")
    return _one_broken(rules.SERVE_ARGUMENT, told)


def _one_broken(rule: rules.Rule, seen: str) -> list[Finding]:
    why = f"serve does not come up, see {rule.name}"
    tried = (*_HOSTING_RULES, rules.NON_ROOT)
    return [broken(r, seen) if r is rule else skipped(r, why) for r in tried]


def _honest(engine: Engine, subject: Subject, base: Plan, chance: Chance) -> Finding:
    if subject.model is None:
        return skipped(rules.PING_HONEST, "no model was given, and none trained")
    patience = _patience(subject, chance.seconds)
    with engine.started(replace(base, read_only={_MODEL: Tree()})) as container:
        ready = wait_until_ready(container, patience, subject.limits.ping, chance)
        if ready is None:
            return kept(rules.PING_HONEST, f"no 200 without a model: {container.last_words(1)}")
        if subject.request is not None:
            answer = invoke(container.address() or "", subject.request, subject.limits.invocation)
            if answer.succeeded:
                return kept(rules.PING_HONEST, "it needs no model: it answers without one")
    return broken(rules.PING_HONEST, "200 with an empty /opt/ml/model")


def _patience(subject: Subject, ready: float, grace: float = _GRACE_TO_COME_UP) -> float:
    """How long to wait for a run where the whole one was ready after so many seconds."""
    return min(subject.limits.startup, 2 * ready + grace)


def _restricted(engine: Engine, subject: Subject, base: Plan, ready: float) -> list[Finding]:
    """With every restriction at once, which tells as much as one by one as long as it comes up."""
    bound, user = _bound(subject, base), claimed_user(subject)
    apart = {rules.BIND_TO_PORT: bound} if bound else {}
    together = bound or base
    if user:
        apart[rules.NON_ROOT] = replace(base, user=user)
        together = replace(together, user=user)
    patience = _patience(subject, ready)
    short = _patience(subject, ready, _SHORT_GRACE) if apart else patience
    asked = _isolated(engine, together, short)
    if asked.isolated.outcome is Outcome.KEPT:
        others = [_answered(rule, together, asked.port) for rule in apart]
    else:
        if asked.isolated.outcome is Outcome.BROKEN and apart:
            asked = _isolated(engine, base, patience)
        others = [_comes_up(engine, subject, r, wanted, patience) for r, wanted in apart.items()]
    if bound is None:
        others.append(skipped(rules.BIND_TO_PORT, f"not labelled {LABEL_BIND_TO_PORT}"))
    return [asked.isolated, *others]


def _bound(subject: Subject, base: Plan) -> Plan | None:
    """With another port to listen on; None for an image that does not claim to."""
    if not subject.has_label(LABEL_BIND_TO_PORT):
        return None
    variables = {
        "SAGEMAKER_BIND_TO_PORT": str(_OTHER_PORT),
        "SAGEMAKER_SAFE_PORT_RANGE": _SAFE_PORTS,
    }
    return replace(base, port=_OTHER_PORT, environment={**base.environment, **variables})


@dataclass(frozen=True)
class _AskedInside:
    """What came of /ping in a container without a network, and the port that said 200."""

    isolated: Finding
    port: int | None = None


def _isolated(engine: Engine, wanted: Plan, patience: float) -> _AskedInside:
    """Nobody can ask it from outside without a network, so a program of its own does."""
    try:
        with engine.started(replace(wanted, isolated=True)) as container:
            return _asked_inside(container, patience)
    except StartError as error:  # such as of a program that only root may start
        return _AskedInside(broken(rules.SERVE_ISOLATION, str(error)))


def _asked_inside(container: Container, patience: float) -> _AskedInside:
    rule, wanted = rules.SERVE_ISOLATION, container.plan.port
    ports, seconds = (str(wanted), str(LISTEN_PORT)), str(min(patience, _ASK_SECONDS))
    began = time.monotonic()
    while time.monotonic() - began < patience:
        status, said = container.run_inside(["python3", "-c", _ASK_INSIDE, *ports, seconds])
        port = said.strip()
        if status == 0 and port in ports:
            return _AskedInside(kept(rule, "200 without a network"), int(port))
        if not container.runs:
            return _AskedInside(broken(rule, container.last_words()))
        if status in (126, 127):
            return _AskedInside(skipped(rule, "the image has no python3 to ask with"))
    return _AskedInside(broken(rule, f"no 200 without a network: {container.last_words(1)}"))


def _comes_up(
    engine: Engine, subject: Subject, rule: rules.Rule, wanted: Plan, patience: float
) -> Finding:
    try:
        with engine.started(wanted) as container:
            ready = wait_until_ready(container, patience, subject.limits.ping)
            if ready is None:
                seen = f"no 200 on port {wanted.port}: {container.last_words(1)}"
                return broken(rule, seen)
    except StartError as error:
        return broken(rule, str(error))
    return _answered(rule, wanted, wanted.port)


def _answered(rule: rules.Rule, wanted: Plan, port: int | None) -> Finding:
    """What a 200 on a port tells: a container may listen on another than it was told."""
    seen = f"200 on port {port}" + (f" as {wanted.user}" if wanted.user else "")
    if rule is rules.BIND_TO_PORT and port != wanted.port:
        return broken(rule, f"{seen} with SAGEMAKER_BIND_TO_PORT={wanted.port}")
    return kept(rule, seen)


_HOSTING_RULES = (
    rules.SERVE_ARGUMENT,
    rules.MODEL_READ_ONLY,
    rules.SHARED_MEMORY,
    *_OF_ANSWER,
    *_OF_ANSWERS,
    rules.UNKNOWN_TYPE,
    rules.SURVIVES,
    rules.LARGE_BODY,
    rules.WRONG_METHOD,
    rules.EXECUTION_PARAMETERS,
    *_OF_ITS_END,
    rules.PING_HONEST,
    rules.BIND_TO_PORT,
    rules.SERVE_ISOLATION,
)

"""`train`, run as a training job runs it; again, with one thing changed, where that tells why.

| run | what is other | for |
|---|---|---|
| whole | nothing | train-argument, model-saved, written-elsewhere, logs-unbuffered |
| typed | numbers in hyperparameters.json | hyperparameters-are-strings, if the whole run fails |
| writable | /opt/ml/input may be written | read-only-input, if the whole run fails |
| present | every folder of the contract is there | absent-paths, if the whole run fails |
| rooted | as root | non-root, if the whole run of an image with another user fails |
| restricted | all of: no network, the needed channels only, a user not root | the next three |
| isolated | no network | train-network-isolation, if that fails |
| fewer | the first channel and those that are required | optional-channels, likewise |
| user | another user than root, if the image claims that | non-root, likewise |
| garbage | every file of every channel is noise | train-exit-status, failure-file |
| stopped | SIGTERM once something is printed and it can be heard | train-sigterm |

The whole run has the machine to itself, for when it prints is told by the clock. The others, each
in a container of its own, may have company.
"""

from __future__ import annotations

import json
import posixpath
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from sagelocal.check import rules
from sagelocal.check.archives import Tree, as_json, joined
from sagelocal.check.containers import Container, Engine, LogLine, Plan, StartError
from sagelocal.check.findings import Finding, broken, kept, skipped
from sagelocal.check.subject import Subject
from sagelocal.check.tasks import Part
from sagelocal.check.user import ROOT, as_own_user, claimed_user, own_user

JOB = "sagelocal-check"
_INPUT = "/opt/ml/input"
_MAY_WRITE = ("/opt/ml", "/tmp", "/var/tmp", "/dev", "/run", "/proc", "/sys")
# Byte code is written beside sources by every Python that may.
_HARMLESS = ("__pycache__", ".pyc", "/root/.cache", "/root/.config", "/root/.local/share")
_NOISE = bytes(range(256)) * 4
_FAILURE_LIMIT = 1024
# What is printed this long before the last line was not held back until then. A short run may well
# have nothing to say before it ends.
_LOG_LEAD_SECONDS = 0.3
_LONG_RUN_SECONDS = 3.0
_ENOUGH_LINES = 3
_LOOK_SECONDS = 0.05
_ENOUGH_LOOKS = 10  # a handler may come late: an interpreter starts, and imports
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
_SIGKILLED = 137


@dataclass(frozen=True)
class Run:
    """How one run of `train` ended. `status` is None if it had to be ended."""

    status: int | None
    seconds: float
    log: tuple[LogLine, ...]
    failure: bytes | None

    @property
    def succeeded(self) -> bool:
        return self.status == 0

    def told(self) -> str:
        """Its status and its last words in one line."""
        status = "did not end in time" if self.status is None else f"status {self.status}"
        words = " | ".join(line.text for line in self.log[-3:] if line.text.strip())
        return f"{status}; {words or 'nothing was printed'}"[:600]


@dataclass(frozen=True)
class Trained(Part):
    """What came of the whole run; `model` is what it left, None if it did not work."""

    model: Tree | None = None


def check_training(engine: Engine, subject: Subject, ended: ExitStack) -> Trained:
    """Every rule of `train`. The container of the whole run is there until `ended` is closed."""
    base = plan(subject)
    if not subject.channels:
        return Trained(_without_data(engine, subject, base))
    try:
        container = ended.enter_context(engine.started(base))
    except StartError as error:
        return Trained(_why(engine, subject, base, _not_started(error)))
    whole = _ended(container, container.wait(subject.limits.training))
    if not whole.succeeded:
        return Trained(_why(engine, subject, base, whole))
    model = container.read("/opt/ml/model")
    findings = [
        kept(rules.TRAIN_ARGUMENT, f"status 0 after {whole.seconds:.1f} s"),
        kept(rules.HYPERPARAMETERS, json.dumps(dict(subject.hyperparameters))),
        kept(rules.READ_ONLY_INPUT, "trained with a read-only /opt/ml/input"),
        kept(rules.ABSENT_PATHS, "trained without /opt/ml/checkpoints"),
        _model_saved(model),
        _logs(whole),
        *as_own_user("train", subject, whole.told()),
    ]
    rest = (
        lambda: [_written_elsewhere(container)],
        lambda: _restricted(engine, subject),
        lambda: _failing(engine, subject),
        lambda: [_sigterm(engine, subject, base, whole.seconds)],
    )
    return Trained(findings, rest, model if model.files else None)


def plan(subject: Subject, channels: Mapping[str, Tree] | None = None) -> Plan:
    """A training job's container; `channels` instead of the subject's own."""
    channels = subject.channels if channels is None else channels
    given = {
        name: {"TrainingInputMode": "File", "RecordWrapperType": "None"}
        | {"S3DistributionType": subject.distributions.get(name, "FullyReplicated")}
        | ({"ContentType": subject.content_types[name]} if name in subject.content_types else {})
        for name in channels
    }
    resources = {
        "current_host": "algo-1",
        "current_instance_type": "ml.m5.large",
        "current_group_name": "homogeneousCluster",
        "hosts": ["algo-1"],
        "instance_groups": [
            {
                "instance_group_name": "homogeneousCluster",
                "instance_type": "ml.m5.large",
                "hosts": ["algo-1"],
            }
        ],
        "network_interface_name": "eth0",
    }
    configuration = Tree(
        {
            "hyperparameters.json": as_json(dict(subject.hyperparameters)),
            "inputdataconfig.json": as_json(given),
            "resourceconfig.json": as_json(resources),
        }
    )
    data = [tree.below(f"data/{name}") for name, tree in channels.items()]
    return Plan(
        subject.image,
        ("train",),
        environment={
            "TRAINING_JOB_NAME": JOB,
            "TRAINING_JOB_ARN": f"arn:aws:sagemaker:us-east-1:000000000000:training-job/{JOB}",
            "AWS_REGION": "us-east-1",
            **subject.environment,
        },
        writable=Tree(folders=("model", "output/data")),
        read_only={_INPUT: joined(configuration.below("config"), Tree(folders=("data",)), *data)},
    )


def run(engine: Engine, subject: Subject, wanted: Plan) -> Run:
    """Run it to its end, or to the time limit."""
    try:
        with engine.started(wanted) as container:
            return _ended(container, container.wait(subject.limits.training))
    except StartError as error:
        return _not_started(error)


def _not_started(error: StartError) -> Run:
    return Run(_NOT_FOUND, 0, (LogLine(time.time(), str(error)),), None)


def _ended(container: Container, status: int | None) -> Run:
    seconds = time.time() - container.started_at
    if status is None:
        container.stop(0)
    failure = container.read_file("/opt/ml/output/failure")
    return Run(status, seconds, tuple(container.log()), failure)


def _without_data(engine: Engine, subject: Subject, base: Plan) -> list[Finding]:
    """Nothing to train on was given: what can be told of a run that has to fail."""
    bare = run(engine, subject, base)
    why = "give data to train on: --channel train=PATH"
    findings = [skipped(rule, why) for rule in _TRAINING_RULES]
    if bare.status in (_NOT_FOUND, _NOT_EXECUTABLE):
        findings[0] = broken(rules.TRAIN_ARGUMENT, bare.told())
    return findings


def _why(engine: Engine, subject: Subject, base: Plan, whole: Run) -> list[Finding]:
    """It does not train: which one change makes it train, if any does."""
    as_root = [(rules.NON_ROOT, replace(base, user=ROOT))] if own_user(subject) else []
    changes = [
        *as_root,
        (rules.HYPERPARAMETERS, _typed(base)),
        (rules.READ_ONLY_INPUT, _writable(base)),
        (rules.ABSENT_PATHS, _present(base)),
    ]
    for rule, other in changes:
        if whole.status not in (_NOT_FOUND, _NOT_EXECUTABLE):
            again = run(engine, subject, other)
            if again.succeeded:
                reason = f"{_CHANGES[rule.name]} it trains; as the cloud starts it: {whole.told()}"
                return _one_broken(rule, reason)
    return _one_broken(rules.TRAIN_ARGUMENT, whole.told())


_CHANGES = {
    rules.HYPERPARAMETERS.name: "With numbers instead of strings",
    rules.READ_ONLY_INPUT.name: "With a writable /opt/ml/input",
    rules.ABSENT_PATHS.name: "With every folder of /opt/ml made before",
    rules.NON_ROOT.name: "As root",
}


def _one_broken(rule: rules.Rule, seen: str) -> list[Finding]:
    why = f"training does not work, see {rule.name}"
    tried = (*_TRAINING_RULES, rules.NON_ROOT)
    return [broken(r, seen) if r is rule else skipped(r, why) for r in tried]


def _typed(base: Plan) -> Plan:
    tree = base.read_only[_INPUT]
    path = "config/hyperparameters.json"
    values = {name: _value(text) for name, text in json.loads(tree.files[path]).items()}
    changed = Tree({**tree.files, path: as_json(values)}, tree.folders)
    return replace(base, read_only={_INPUT: changed})


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _writable(base: Plan) -> Plan:
    inside = base.read_only[_INPUT].below("input")
    return replace(base, read_only={}, writable=joined(base.writable, inside))


def _present(base: Plan) -> Plan:
    folders = ("checkpoints", "code")
    return replace(base, writable=joined(base.writable, Tree(folders=folders)))


def _model_saved(model: Tree) -> Finding:
    files = model.files
    if not files:
        return broken(rules.MODEL_SAVED, "/opt/ml/model is empty")
    size = sum(map(len, files.values()))
    return kept(rules.MODEL_SAVED, f"{', '.join(sorted(files)[:4])} ({size:,} bytes)")


def _written_elsewhere(container: Container) -> Finding:
    changed = container.changed_paths()
    parents = {posixpath.dirname(path) for path in changed}
    written = [
        path
        for path in changed
        if path not in parents
        and not path.startswith(tuple(f"{folder}/" for folder in _MAY_WRITE))
        and path not in _MAY_WRITE
        and not any(part in path for part in _HARMLESS)
    ]
    if written:
        more = f" and {len(written) - 3} more" if len(written) > 3 else ""
        return broken(rules.MODEL_PLACE, ", ".join(written[:3]) + more)
    return kept(rules.MODEL_PLACE, "nothing but /opt/ml and /tmp")


def _logs(whole: Run) -> Finding:
    """Lines that all come together at the end of a longer run were held back until then."""
    times = [line.at for line in whole.log]
    if len(times) < _ENOUGH_LINES or whole.seconds < _LONG_RUN_SECONDS:
        return skipped(rules.LOGS, "too short a run, or too few lines, to tell")
    spread = times[-1] - times[0]
    seen = f"{len(times)} lines over {spread:.1f} s of a run of {whole.seconds:.1f} s"
    return (kept if spread >= _LOG_LEAD_SECONDS else broken)(rules.LOGS, seen)


@dataclass(frozen=True)
class _Restriction:
    """One thing that a run does without, and what of it is told."""

    rule: rules.Rule
    told: str
    restricted: Callable[[Plan], Plan]

    def finding(self, ended: Run) -> Finding:
        found = kept if ended.succeeded else broken
        return found(self.rule, f"{self.told}: {ended.told()}")


def _restricted(engine: Engine, subject: Subject) -> list[Finding]:
    """With every restriction at once, which tells as much as one by one as long as it trains."""
    base, user = plan(subject), claimed_user(subject)
    restrictions = [
        _Restriction(
            rules.TRAIN_ISOLATION, "without a network", lambda it: replace(it, isolated=True)
        )
    ]
    untried = []
    needed = {next(iter(subject.channels)), *subject.required}
    if needed >= set(subject.channels):
        why = "no channel was given that is optional"
        untried.append(skipped(rules.OPTIONAL_CHANNELS, why))
    else:
        fewer = {name: tree for name, tree in subject.channels.items() if name in needed}
        alone = f"with {' and '.join(map(repr, fewer))} alone"
        read_only = plan(subject, fewer).read_only
        restrictions.append(
            _Restriction(
                rules.OPTIONAL_CHANNELS, alone, lambda it: replace(it, read_only=read_only)
            )
        )
    if user:
        restrictions.append(
            _Restriction(rules.NON_ROOT, f"train as {user}", lambda it: replace(it, user=user))
        )
    together = base
    for each in restrictions:
        together = each.restricted(together)
    ended = run(engine, subject, together)
    if ended.succeeded or len(restrictions) == 1:
        return [*untried, *(each.finding(ended) for each in restrictions)]
    apart = [(each, run(engine, subject, each.restricted(base))) for each in restrictions]
    return [*untried, *(each.finding(alone) for each, alone in apart)]


def _failing(engine: Engine, subject: Subject) -> list[Finding]:
    noise = {
        name: Tree(dict.fromkeys(tree.files, _NOISE)) for name, tree in subject.channels.items()
    }
    with engine.started(plan(subject, noise)) as container:
        failed = _ended(container, container.wait(subject.limits.training))
        has_learned = failed.succeeded and bool(container.paths("/opt/ml/model"))
    if has_learned:
        why = "it learns from noise, too, so that nothing here makes it fail"
        return [skipped(rule, why) for rule in (rules.TRAIN_EXIT_CODE, rules.FAILURE_FILE)]
    if failed.succeeded:
        return [
            broken(rules.TRAIN_EXIT_CODE, f"no model of noise for data: {failed.told()}"),
            skipped(rules.FAILURE_FILE, "training did not fail, see train-exit-status"),
        ]
    reason = (failed.failure or b"").decode(errors="replace").strip()
    return [
        kept(rules.TRAIN_EXIT_CODE, f"with noise for data: {failed.told()}"),
        kept(rules.FAILURE_FILE, reason[:_FAILURE_LIMIT])
        if reason
        else broken(rules.FAILURE_FILE, "no /opt/ml/output/failure, or an empty one"),
    ]


def _sigterm(engine: Engine, subject: Subject, base: Plan, whole_seconds: float) -> Finding:
    """Stopped in the midst of it, once its first process would hear of that.

    One that never would is not asked: with a sample's data it ends before it would be killed, and
    that looks as if it had heard.
    """
    looks = 0
    with engine.started(base) as container:
        container.wait_for_output(whole_seconds / 2)
        until = time.monotonic() + subject.limits.training
        while container.runs and time.monotonic() < until:
            if container.hears(signal.SIGTERM) is False:
                looks += 1
                time.sleep(_LOOK_SECONDS)
            elif container.runs:  # nobody hears in one that has just ended
                return _stopped(container, subject)
    if looks < _ENOUGH_LOOKS:
        return skipped(rules.TRAIN_SIGTERM, "training was over before it could be stopped")
    return broken(
        rules.TRAIN_SIGTERM,
        "process 1 has no handler for SIGTERM, and without one the kernel keeps it from process 1",
    )


def _stopped(container: Container, subject: Subject) -> Finding:
    status, seconds = container.stop(subject.limits.training_grace)
    seen = f"status {status} after {seconds:.1f} s"
    return (broken if status == _SIGKILLED else kept)(rules.TRAIN_SIGTERM, seen)


_TRAINING_RULES = (
    rules.TRAIN_ARGUMENT,
    rules.HYPERPARAMETERS,
    rules.READ_ONLY_INPUT,
    rules.ABSENT_PATHS,
    rules.MODEL_SAVED,
    rules.MODEL_PLACE,
    rules.LOGS,
    rules.TRAIN_ISOLATION,
    rules.OPTIONAL_CHANNELS,
    rules.TRAIN_EXIT_CODE,
    rules.FAILURE_FILE,
    rules.TRAIN_SIGTERM,
)

"""`train`, run as a training job runs it; again, with one thing changed, where that tells why.

| run | what is other | for |
|---|---|---|
| whole | nothing | train-argument, model-saved, written-elsewhere, logs-unbuffered |
| typed | numbers in hyperparameters.json | hyperparameters-are-strings, if the whole run fails |
| writable | /opt/ml/input may be written | read-only-input, if the whole run fails |
| present | every folder of the contract is there | absent-paths, if the whole run fails |
| isolated | no network | train-network-isolation |
| first | the first channel only | optional-channels |
| garbage | every file of every channel is noise | train-exit-status, failure-file |
| stopped | SIGTERM as soon as something is printed | train-sigterm |
| user | another user than root | non-root |
"""

from __future__ import annotations

import json
import posixpath
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sagelocal.check import rules
from sagelocal.check.archives import Tree, as_json, joined
from sagelocal.check.containers import Container, Engine, LogLine, Plan, StartError
from sagelocal.check.findings import Finding, broken, kept, skipped
from sagelocal.check.subject import Subject

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
_FIRST_WORD_SECONDS = 5.0
_LOOK_SECONDS = 0.02
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
_SIGKILLED = 137


@dataclass(frozen=True)
class Run:
    """How one run of `train` ended. `status` is None if it had to be ended."""

    status: int | None
    seconds: float
    log: tuple[LogLine, ...]
    model: Tree
    failure: bytes | None
    changed: tuple[str, ...]

    @property
    def succeeded(self) -> bool:
        return self.status == 0

    def told(self) -> str:
        """Its status and its last words in one line."""
        status = "did not end in time" if self.status is None else f"status {self.status}"
        words = " | ".join(line.text for line in self.log[-3:] if line.text.strip())
        return f"{status}; {words or 'nothing was printed'}"[:600]


@dataclass(frozen=True)
class Trained:
    """What came of all runs; `model` is what the whole run left, None if it did not work."""

    findings: list[Finding]
    model: Tree | None


def check_training(engine: Engine, subject: Subject) -> Trained:
    """Every rule of `train`."""
    base = plan(subject)
    if not subject.channels:
        return Trained(_without_data(engine, subject, base), None)
    whole = run(engine, subject, base)
    if not whole.succeeded:
        return Trained(_why(engine, subject, base, whole), None)
    findings = [
        kept(rules.TRAIN_ARGUMENT, f"status 0 after {whole.seconds:.1f} s"),
        kept(rules.HYPERPARAMETERS, json.dumps(dict(subject.hyperparameters))),
        kept(rules.READ_ONLY_INPUT, "trained with a read-only /opt/ml/input"),
        kept(rules.ABSENT_PATHS, "trained without /opt/ml/output/data and /opt/ml/checkpoints"),
        _model_saved(whole),
        _written_elsewhere(whole),
        _logs(whole),
        _isolation(engine, subject, base),
        _optional_channels(engine, subject),
        *_failing(engine, subject),
        _sigterm(engine, subject, base),
    ]
    return Trained(findings, whole.model if whole.model.files else None)


def trains_as(engine: Engine, subject: Subject, user: str) -> Run:
    """A whole run as another user."""
    return run(engine, subject, replace(plan(subject), user=user))


def plan(subject: Subject, channels: Mapping[str, Tree] | None = None) -> Plan:
    """A training job's container; `channels` instead of the subject's own."""
    channels = subject.channels if channels is None else channels
    given = {
        name: {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}
        | {"RecordWrapperType": "None"}
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
        writable=Tree(folders=("model", "output")),
        read_only={_INPUT: joined(configuration.below("config"), Tree(folders=("data",)), *data)},
    )


def run(engine: Engine, subject: Subject, wanted: Plan) -> Run:
    """Run it to its end, or to the time limit."""
    try:
        with engine.started(wanted) as container:
            return _ended(container, container.wait(subject.limits.training))
    except StartError as error:
        line = LogLine(time.time(), str(error))
        return Run(_NOT_FOUND, 0, (line,), Tree(), None, ())


def _ended(container: Container, status: int | None) -> Run:
    seconds = time.time() - container.started_at
    if status is None:
        container.stop(0)
    return Run(
        status,
        seconds,
        tuple(container.log()),
        container.read("/opt/ml/model"),
        container.read_file("/opt/ml/output/failure"),
        tuple(container.changed_paths()),
    )


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
    for rule, other in (
        (rules.HYPERPARAMETERS, _typed(base)),
        (rules.READ_ONLY_INPUT, _writable(base)),
        (rules.ABSENT_PATHS, _present(base)),
    ):
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
}


def _one_broken(rule: rules.Rule, seen: str) -> list[Finding]:
    why = f"training does not work, see {rule.name}"
    return [broken(r, seen) if r is rule else skipped(r, why) for r in _TRAINING_RULES]


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
    folders = ("output/data", "checkpoints", "code")
    return replace(base, writable=joined(base.writable, Tree(folders=folders)))


def _model_saved(whole: Run) -> Finding:
    files = whole.model.files
    if not files:
        return broken(rules.MODEL_SAVED, "/opt/ml/model is empty")
    size = sum(map(len, files.values()))
    return kept(rules.MODEL_SAVED, f"{', '.join(sorted(files)[:4])} ({size:,} bytes)")


def _written_elsewhere(whole: Run) -> Finding:
    parents = {posixpath.dirname(path) for path in whole.changed}
    written = [
        path
        for path in whole.changed
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


def _isolation(engine: Engine, subject: Subject, base: Plan) -> Finding:
    alone = run(engine, subject, replace(base, isolated=True))
    return (kept if alone.succeeded else broken)(rules.TRAIN_ISOLATION, alone.told())


def _optional_channels(engine: Engine, subject: Subject) -> Finding:
    if len(subject.channels) < 2:
        return skipped(rules.OPTIONAL_CHANNELS, "only one channel was given")
    first = next(iter(subject.channels))
    alone = run(engine, subject, plan(subject, {first: subject.channels[first]}))
    told = f"with {first!r} alone: {alone.told()}"
    return (kept if alone.succeeded else broken)(rules.OPTIONAL_CHANNELS, told)


def _failing(engine: Engine, subject: Subject) -> list[Finding]:
    noise = {
        name: Tree(dict.fromkeys(tree.files, _NOISE)) for name, tree in subject.channels.items()
    }
    failed = run(engine, subject, plan(subject, noise))
    if failed.succeeded:
        return [
            broken(rules.TRAIN_EXIT_CODE, f"with noise for data: {failed.told()}"),
            skipped(rules.FAILURE_FILE, "training did not fail, see train-exit-status"),
        ]
    reason = (failed.failure or b"").decode(errors="replace").strip()
    return [
        kept(rules.TRAIN_EXIT_CODE, f"with noise for data: {failed.told()}"),
        kept(rules.FAILURE_FILE, reason[:_FAILURE_LIMIT])
        if reason
        else broken(rules.FAILURE_FILE, "no /opt/ml/output/failure, or an empty one"),
    ]


def _sigterm(engine: Engine, subject: Subject, base: Plan) -> Finding:
    """Stopped once it prints, or after a moment: by then its handlers should be there."""
    with engine.started(base) as container:
        if not _until(lambda: bool(container.log()) or not container.runs, _FIRST_WORD_SECONDS):
            pass  # it prints nothing; then this is a moment as good as any
        if not container.runs:
            return skipped(rules.TRAIN_SIGTERM, "training was over before it could be stopped")
        status, seconds = container.stop(subject.limits.training_grace)
    seen = f"status {status} after {seconds:.1f} s"
    return (broken if status == _SIGKILLED else kept)(rules.TRAIN_SIGTERM, seen)


def _until(happens: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if happens():
            return True
        time.sleep(_LOOK_SECONDS)
    return False


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

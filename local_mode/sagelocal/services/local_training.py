"""One training job without S3 and without a server: what `sagelocal train` runs.

The job is a CreateTrainingJob like any other, on a plane of its own that listens nowhere and is
gone with the job: files become objects, the user's folder becomes the `code` channel that the
SageMaker SDK makes where a container has no network, and what the job uploads is put into the
user's folder again. So what runs here has passed the same checks, staging and outcome rules.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sagelocal.domain.content_types import of_file
from sagelocal.domain.names import Scope
from sagelocal.domain.training import LOG_GROUP, TrainingJob, Transition
from sagelocal.engine.artifacts import entries, write_archive
from sagelocal.engine.log_tail import Tail
from sagelocal.engine.training_tools import DEBUGGER_VARIABLE, handles_of
from sagelocal.protocol import models, validation
from sagelocal.services.calls import Call
from sagelocal.services.plane import Plane
from sagelocal.services.training_jobs import create_training_job

BUCKET = "local"
REGION = "us-east-1"
CODE_CHANNEL = "code"
SOURCE_ARCHIVE = "sourcedir.tar.gz"
# More than any laptop has, so that memory and processors are those of this machine.
INSTANCE_TYPE = "ml.m5.24xlarge"
# The same for `--gpus`; how many of them, the plane's settings say.
GPU_INSTANCE_TYPE = "ml.p4d.24xlarge"
MAX_RUNTIME_SECONDS = 28 * 86_400
LOOK_SECONDS = 0.05
# What a run leaves beside model/ and data/, by which the next one knows its own folder.
MARKER = ".sagelocal-train"

_NOT_SOURCES = frozenset({"__pycache__", ".git", ".venv", ".ipynb_checkpoints"})


class Progress(Protocol):
    """Whoever watches the job."""

    def phase(self, transition: Transition) -> None:
        """The job entered a state, or says something else in it."""

    def line(self, text: str) -> None:
        """A line of the job's log."""

    def tick(self) -> None:
        """Time has passed."""


class LocalTrainingError(Exception):
    """What cannot be run as it was asked for; the text is for the user, with the next step."""


@dataclass(frozen=True)
class LocalTraining:
    """What was asked for. `source` is a folder of user code, or None for an image's own code."""

    image: str
    output: Path
    source: Path | None = None
    entry_point: str = "train.py"
    channels: Mapping[str, Path] = field(default_factory=dict)
    content_types: Mapping[str, str] = field(default_factory=dict)
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    instances: int = 1
    debugger_port: int | None = None
    input_mode: str = "File"
    gpus: int = 0


def check_output(output: Path) -> None:
    """Raises LocalTrainingError if the folder holds what no run of ours has put there."""
    if output.exists() and not output.is_dir():
        raise LocalTrainingError(f"--output {output} is a file; name a folder")
    if output.is_dir() and any(output.iterdir()) and not (output / MARKER).exists():
        raise LocalTrainingError(
            f"--output {output} holds files that are not from `sagelocal train`; name another "
            "folder, or empty it"
        )


def run(plane: Plane, training: LocalTraining, progress: Progress) -> TrainingJob:
    """Run the job to its end and leave what it made in the output folder; the job.

    KeyboardInterrupt stops the job as StopTrainingJob does, a second one kills it, and a third gets
    out of here.
    Raises LocalTrainingError, and Fault for what CreateTrainingJob refuses.
    """
    check_output(training.output)
    _check_gpus(plane, training)
    plane.objects.create_bucket(BUCKET, REGION)
    name = _job_name(training)
    request = _request(plane, training, name)
    model = models.load("sagemaker")
    assert model is not None
    validation.check("sagemaker", model.operation("CreateTrainingJob"), request)
    call = Call("sagemaker", "CreateTrainingJob", Scope("000000000000", REGION), name, "")
    arn = create_training_job(plane, call, request)["TrainingJobArn"]
    job = _watch(plane, arn, Tail(plane.logs, LOG_GROUP, f"{name}/"), progress)
    _hand_over(plane, f"output/{name}/output", training.output)
    return job


def _check_gpus(plane: Plane, training: LocalTraining) -> None:
    there = plane.runtime.gpus
    if training.gpus <= there:
        return
    name = plane.runtime.name
    hint = " (Docker needs the NVIDIA Container Toolkit)" if name == "docker" else ""
    raise LocalTrainingError(
        f"--gpus {training.gpus}: the {name} runtime of this machine can give {there} to a "
        f"container{hint}; leave out --gpus to train on processors"
    )


def _job_name(training: LocalTraining) -> str:
    what = training.source.resolve().name if training.source else training.image
    word = re.sub(r"[^a-zA-Z0-9]+", "-", what.rpartition("/")[2]).strip("-")[:30].strip("-")
    return f"{word or 'training'}-{time.strftime('%Y%m%d-%H%M%S')}"


def _request(plane: Plane, training: LocalTraining, name: str) -> dict[str, Any]:
    """CreateTrainingJob's, with every file that it needs in the bucket."""
    hyperparameters = dict(training.hyperparameters)
    environment = dict(training.environment)
    if training.debugger_port is not None:
        environment[DEBUGGER_VARIABLE] = _debugger_port(training)
    channels = [
        _channel(plane, channel, path, training.content_types.get(channel))
        for channel, path in training.channels.items()
    ]
    if training.source is not None:
        hyperparameters |= {
            "sagemaker_program": training.entry_point,
            "sagemaker_submit_directory": f"/opt/ml/input/data/{CODE_CHANNEL}/{SOURCE_ARCHIVE}",
        }
        channels.append(_code_channel(plane, training.source, training.entry_point))
    request: dict[str, Any] = {
        "TrainingJobName": name,
        "RoleArn": "arn:aws:iam::000000000000:role/SageLocalExecutionRole",
        "AlgorithmSpecification": {
            "TrainingImage": training.image,
            "TrainingInputMode": training.input_mode,
        },
        "HyperParameters": hyperparameters,
        "Environment": environment,
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output", "CompressionType": "NONE"},
        "ResourceConfig": {
            "InstanceType": GPU_INSTANCE_TYPE if training.gpus else INSTANCE_TYPE,
            "InstanceCount": training.instances,
            "VolumeSizeInGB": 1,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": MAX_RUNTIME_SECONDS},
    }
    return {**request, "InputDataConfig": channels} if channels else request


def _debugger_port(training: LocalTraining) -> str:
    if training.source is None:
        raise LocalTrainingError(
            "--debugger is for a folder of your own code; name the folder, and the image by --image"
        )
    if training.instances > 1:
        raise LocalTrainingError("--debugger attaches to one host; leave out --instances")
    return str(training.debugger_port)


def _channel(plane: Plane, name: str, path: Path, content_type: str | None) -> dict[str, Any]:
    files = list(_files(path))
    if not files:
        raise LocalTrainingError(
            f"--channel {name}={path}: there is no file; name one, or a folder"
        )
    for file, below in files:
        plane.objects.put_file(BUCKET, f"input/{name}/{below}", file)
    kinds = {of_file(file) for file, _ in files}
    guessed = kinds.pop() if len(kinds) == 1 else None
    return _described(name, content_type or guessed)


def _files(path: Path) -> Iterator[tuple[Path, str]]:
    """Every file at or below a path, with its name below the channel."""
    if path.is_file():
        yield path, path.name
    for file in sorted(path.rglob("*")) if path.is_dir() else ():
        if file.is_file():
            yield file, file.relative_to(path).as_posix()


def _code_channel(plane: Plane, source: Path, entry_point: str) -> dict[str, Any]:
    if not (source / entry_point).is_file():
        there = ", ".join(sorted(path.name for path in source.iterdir())[:12]) or "nothing"
        raise LocalTrainingError(
            f"{source} has no {entry_point} (it has {there}); name the script with --entry-point"
        )
    members = [
        entry for entry in entries([source]) if _NOT_SOURCES.isdisjoint(Path(entry.name).parts)
    ]
    with plane.objects.incoming() as incoming:
        write_archive(incoming, members)
        plane.objects.put(BUCKET, f"input/{CODE_CHANNEL}/{SOURCE_ARCHIVE}", incoming)
    return {**_described(CODE_CHANNEL, None), "InputMode": "File"}


def _described(name: str, content_type: str | None) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "ChannelName": name,
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "S3Prefix",
                "S3Uri": f"s3://{BUCKET}/input/{name}/",
                "S3DataDistributionType": "FullyReplicated",
            }
        },
    }
    return {**channel, "ContentType": content_type} if content_type else channel


def _watch(plane: Plane, arn: str, tail: Tail, progress: Progress) -> TrainingJob:
    """Tell of everything that the job does until it has ended."""
    told: dict[Any, str] = {}
    interrupts = 0
    while True:
        try:
            job = plane.training.records.get(arn)
            for transition in job.transitions if job.finished else job.transitions[:-1]:
                _tell(transition, told, progress)
            for line in tail.new_lines():
                progress.line(line)
            _tell(job.transitions[-1], told, progress)
            if job.finished:
                return job
            progress.tick()
            time.sleep(LOOK_SECONDS)
        except KeyboardInterrupt:
            interrupts += 1
            if interrupts > 2:
                raise
            _stop(plane, arn, kill=interrupts == 2)


def _tell(transition: Transition, told: dict[Any, str], progress: Progress) -> None:
    if told.get(transition.status) != transition.message:
        told[transition.status] = transition.message
        progress.phase(transition)


def _stop(plane: Plane, arn: str, *, kill: bool) -> None:
    job = plane.training.stop(arn)
    for _, handle in handles_of(job) if kill else ():
        plane.runtime.stop(handle, 0)


def _hand_over(plane: Plane, prefix: str, output: Path) -> None:
    """The objects of the job as plain files: model/ and data/, in place of an earlier run's."""
    output.mkdir(parents=True, exist_ok=True)
    (output / MARKER).touch()
    for kind, folder in (("model", "model"), ("output", "data")):
        target = output / folder
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        start = f"{prefix}/{kind}/"
        for info in plane.objects.list(BUCKET, start):
            file = target / info.key.removeprefix(start)
            file.parent.mkdir(parents=True, exist_ok=True)
            plane.objects.stage(info, file)

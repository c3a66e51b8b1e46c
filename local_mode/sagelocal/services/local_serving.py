"""One model served without S3 and without a control plane: what `sagelocal serve` runs.

The container is started as an endpoint's is: `serve`, the model at /opt/ml/model (read-only), the
same variables, the same health check, SIGTERM and a grace at the end. There is one container, and
it is not started again when it ends.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sagelocal.domain.models import MODEL_FOLDER
from sagelocal.engine.extraction import BadArchive, extract
from sagelocal.engine.health import Patience, Problem, delay_after, ping
from sagelocal.engine.log_tail import Tail
from sagelocal.engine.packages import packages_mounts
from sagelocal.engine.serving_specs import CONTAINER_PORT
from sagelocal.engine.version_notes import say_version
from sagelocal.runtime.artifacts import CODE_FOLDER
from sagelocal.runtime.interface import ContainerSpec, Exit, Handle, Mount, Runtime
from sagelocal.settings import Settings
from sagelocal.store.logs import LogStore

REGION = "us-east-1"
LOG_GROUP = "serve"
LOOK_SECONDS = 0.1


class LocalServingError(Exception):
    """What cannot be served as it was asked for; the text is for the user, with the next step."""


class Watcher(Protocol):
    """Whoever watches the container."""

    def line(self, text: str) -> None:
        """A line of its log."""

    def ready(self, address: str) -> None:
        """It answers at http://host:port."""


@dataclass(frozen=True)
class LocalServing:
    """What was asked for. `model` is the folder that becomes /opt/ml/model; `port` 0 is any."""

    image: str
    model: Path
    port: int = 8080
    environment: Mapping[str, str] = field(default_factory=dict)


def make_model_folder(model: Path, code: Path | None, folder: Path) -> Path:
    """The folder that becomes /opt/ml/model: of an archive, a folder or a single file.

    With `code` that folder lies in it as `code`, in the place of one that is there. What has to be
    made is made below `folder`; a folder without further code is taken as it is.
    Raises LocalServingError.
    """
    if model.is_dir() and code is None:
        return model
    target = folder / "model"
    if model.is_dir():
        shutil.copytree(model, target, copy_function=_link)
    elif not model.is_file():
        raise LocalServingError(f"{model} is neither a file nor a folder")
    elif tarfile.is_tarfile(model):
        target.mkdir()
        _extract(model, target)
    else:
        target.mkdir()
        _link(str(model), str(target / model.name))
    if code is not None:
        shutil.rmtree(target / CODE_FOLDER, ignore_errors=True)
        shutil.copytree(code, target / CODE_FOLDER, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def script_environment(code: Path, entry_point: str) -> dict[str, str]:
    """The variables by which the SageMaker SDK names a script. Raises LocalServingError."""
    if not (code / entry_point).is_file():
        there = ", ".join(sorted(path.name for path in code.glob("*.py"))) or "no .py file"
        raise LocalServingError(
            f"{code} has no {entry_point} (it has {there}); name the script with --entry-point"
        )
    return {
        "SAGEMAKER_PROGRAM": entry_point,
        "SAGEMAKER_SUBMIT_DIRECTORY": f"{MODEL_FOLDER}/{CODE_FOLDER}",
    }


def serve_model(
    runtime: Runtime, serving: LocalServing, settings: Settings, watcher: Watcher
) -> None:
    """Serve until KeyboardInterrupt, which passes through when the container has ended.

    Requests under way are waited for, unless there is a second one.
    Raises LocalServingError if the container ends or never answers, and RuntimeFault.
    """
    logs = LogStore(settings.data_dir / "logs")
    name = f"sagelocal-serve-{uuid.uuid4().hex[:12]}"
    runtime.prepare(serving.image)
    tail = Tail(logs, LOG_GROUP, name)
    spec = _spec(serving, name, logs, settings)
    say_version(runtime, spec.image, spec.log_path, name)
    handle = runtime.start(spec)
    try:
        try:
            watcher.ready(_await_health(runtime, handle, settings, tail, watcher))
            _follow(runtime, handle, tail, watcher)
        except KeyboardInterrupt:
            runtime.stop(handle, settings.hosting_stop_grace_seconds)
            raise
    finally:
        _tell(tail, watcher)
        runtime.stop(handle, 0)
        runtime.remove(handle)


def _spec(serving: LocalServing, name: str, logs: LogStore, settings: Settings) -> ContainerSpec:
    platform = {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
    return ContainerSpec(
        name=name,
        image=serving.image,
        log_path=logs.path(LOG_GROUP, name),
        mounts=(
            Mount(serving.model.resolve(), MODEL_FOLDER, read_only=True),
            *packages_mounts(settings.packages_folder),
        ),
        arguments=("serve",),
        environment=platform | dict(serving.environment),
        port=CONTAINER_PORT,
        host_port=serving.port or None,
    )


def _await_health(
    runtime: Runtime, handle: Handle, settings: Settings, tail: Tail, watcher: Watcher
) -> str:
    """The container's address, once it answers /ping. Raises LocalServingError."""
    started_at = time.monotonic()
    problem = Problem("it had no address")
    patience = Patience()
    while (elapsed := time.monotonic() - started_at) < settings.startup_timeout_seconds:
        if address := runtime.address(handle):
            found = ping(address, settings.ping_timeout_seconds)
            if found is None:
                _tell(tail, watcher)
                return address
            problem = found
            if patience.is_over(problem):
                raise LocalServingError(problem.reason)
        _tell(tail, watcher)
        if ended := runtime.wait(handle, delay_after(elapsed)):
            raise LocalServingError(f"the container {_manner(ended)} before it answered /ping")
    raise LocalServingError(
        f"in {settings.startup_timeout_seconds:g} seconds /ping never answered 200; at last "
        f"{problem.text}"
    )


def _follow(runtime: Runtime, handle: Handle, tail: Tail, watcher: Watcher) -> None:
    """Show the log until the container ends, which it never should. Raises LocalServingError."""
    while (ended := runtime.wait(handle, LOOK_SECONDS)) is None:
        _tell(tail, watcher)
    raise LocalServingError(f"the container {_manner(ended)}")


def _tell(tail: Tail, watcher: Watcher) -> None:
    for line in tail.new_lines():
        watcher.line(line)


def _manner(ended: Exit) -> str:
    if ended.out_of_memory:
        return "was killed because it ran out of memory"
    return f"ended with exit code {ended.code}"


def _extract(archive: Path, folder: Path) -> None:
    try:
        with archive.open("rb") as stream:
            extract(stream, folder)
    except BadArchive as error:
        raise LocalServingError(f"{archive} cannot be unpacked: {error}") from error


def _link(source: str, target: str) -> None:
    """A second name for a file, which nobody writes to; a copy where there can be none."""
    try:
        os.link(source, target, follow_symlinks=True)
    except OSError:
        shutil.copy2(source, target)

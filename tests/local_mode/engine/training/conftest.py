"""A training engine on a small runtime of its own: an image is the path of a Python script.

The runtime is real where it matters to the engine: containers are processes that outlive the plane,
their logs and exit codes are files, and nothing but a `Handle` leads back to them.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sagelocal.domain.names import Scope
from sagelocal.domain.training import TrainingJob
from sagelocal.engine.training import TrainingEngine
from sagelocal.runtime.interface import (
    ContainerSpec,
    Exit,
    Handle,
    RuntimeFault,
    RuntimeUnavailable,
    UnknownImage,
)
from sagelocal.settings import Settings
from sagelocal.store.database import Database
from sagelocal.store.logs import LogStore
from sagelocal.store.objects import ObjectStore
from sagelocal.store.resources import Resources

SUPERVISOR = """
import json, subprocess, sys, time, signal, os
spec = json.load(open(sys.argv[1]))
child = subprocess.Popen([sys.executable, "-u", spec["image"], *spec["arguments"]],
    env=spec["environment"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
signal.signal(signal.SIGTERM, lambda *_: child.send_signal(signal.SIGTERM))
with open(spec["log"], "ab") as log:
    for line in child.stdout:
        log.write(str(int(time.time() * 1000)).encode() + b"\\t" + line.rstrip(b"\\n") + b"\\n")
        log.flush()
code = child.wait()
os.replace(sys.argv[1], sys.argv[1] + ".ended")
with open(spec["exit"] + ".new", "w") as file:
    json.dump(128 - code if code < 0 else code, file)
os.replace(spec["exit"] + ".new", spec["exit"])
"""


class ScriptRuntime:
    """Containers are processes that run Python scripts."""

    name = "script"
    network_interface = "lo"
    gpus = 0

    def __init__(self, root: Path) -> None:
        self._root = root
        self.slow_images_ready = threading.Event()
        self.removed_networks: list[str] = []
        self.notes: dict[str, str] = {}
        # How many more starts find the runtime out of reach.
        self.failures = 0
        root.mkdir(parents=True, exist_ok=True)

    def prepare(self, image: str) -> None:
        if image.startswith("broken"):
            raise RuntimeFault(f"{image} cannot be built")
        if image.startswith("slow"):
            self.slow_images_ready.wait(30)
        elif not Path(image).exists():
            raise UnknownImage(f"no image answers to {image!r}")

    def version_note(self, image: str) -> str | None:
        return self.notes.get(image)

    def labels(self, image: str) -> dict[str, str]:
        return {}

    def can_overlay(self, folder: Path) -> bool:
        return False

    def start(self, spec: ContainerSpec) -> Handle:
        if self.failures:
            self.failures -= 1
            raise RuntimeUnavailable("the engine does not answer")
        folder = self._root / spec.name
        leftover = Handle(self.name, json.dumps({"pid": None, "name": spec.name}))
        if folder.exists():
            pid = (folder / "pid").read_text() if (folder / "pid").exists() else None
            if pid:
                _kill(int(pid))
            self.remove(leftover)
        folder.mkdir()
        document = {
            "image": spec.image,
            "arguments": list(spec.arguments),
            "environment": {
                **os.environ,
                **spec.environment,
                "BASE": str(spec.mounts[0].source.parent),
                "HOST": spec.hostname,
            },
            "log": str(spec.log_path),
            "exit": str(folder / "exit"),
        }
        (folder / "spec").write_text(json.dumps(document))
        process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, str(folder / "spec")],
            start_new_session=True,
            stdout=subprocess.DEVNULL,
        )
        # Nobody waits for the supervisor as for a child: it may be the next plane that asks.
        process.returncode = 0
        (folder / "pid").write_text(str(process.pid))
        return Handle(self.name, json.dumps({"pid": process.pid, "name": spec.name}))

    def wait(self, handle: Handle, timeout_seconds: float | None = None) -> Exit | None:
        document = json.loads(handle.id)
        _await_exit(document["pid"], timeout_seconds)
        file = self._root / document["name"] / "exit"
        if not file.exists():
            if _alive(document["pid"]):
                return None
            return Exit(128 + signal.SIGKILL)
        return Exit(json.loads(file.read_text()))

    def stop(self, handle: Handle, grace_seconds: float) -> Exit:
        pid = json.loads(handle.id)["pid"]
        if _alive(pid):
            os.kill(pid, signal.SIGTERM)
            if self.wait(handle, grace_seconds) is None:
                _kill(pid)
        ended = self.wait(handle)
        assert ended is not None
        return ended

    def address(self, handle: Handle) -> str | None:
        return None

    def host_address(self) -> str:
        return "127.0.0.1"

    def is_container(self, address: str) -> bool:
        return address == "127.0.0.1"

    def remove(self, handle: Handle) -> None:
        folder = self._root / json.loads(handle.id)["name"]
        for file in folder.glob("*"):
            file.unlink()
        if folder.exists():
            folder.rmdir()

    def remove_network(self, name: str) -> None:
        self.removed_networks.append(name)

    def close(self) -> None:
        pass


def _alive(pid: int) -> bool:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def _await_exit(pid: int, timeout_seconds: float | None) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([descriptor], [], [], timeout_seconds)
    finally:
        os.close(descriptor)


def _kill(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    _await_exit(pid, None)


@dataclass
class Bench:
    """An engine on a data directory, and what a test needs to drive it."""

    data: Path
    settings: Settings
    database: Database = field(init=False)
    resources: Resources = field(init=False)
    objects: ObjectStore = field(init=False)
    logs: LogStore = field(init=False)
    runtime: ScriptRuntime = field(init=False)
    engine: TrainingEngine = field(init=False)

    def __post_init__(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        self.database = Database(self.data / "plane.sqlite")
        self.resources = Resources(self.database)
        self.objects = ObjectStore(self.database, self.data / "objects")
        self.logs = LogStore(self.data / "logs")
        self.runtime = ScriptRuntime(self.data / "containers")
        self.engine = TrainingEngine(
            self.resources,
            self.objects,
            self.logs,
            self.runtime,
            self.settings,
            folder=self.data / "training-jobs",
        )

    def image(self, script: str) -> str:
        """An image that runs this script; `base` in it is its /opt/ml, as a Path."""
        folder = self.data / "images"
        folder.mkdir(exist_ok=True)
        path = folder / f"{len(list(folder.iterdir()))}.py"
        head = (
            'import json, os, signal, sys, time, pathlib\nbase = pathlib.Path(os.environ["BASE"])\n'
        )
        path.write_text(head + textwrap.dedent(script))
        return str(path)

    def put(self, key: str, content: bytes = b"x", bucket: str = "bucket") -> None:
        if not self.objects.has_bucket(bucket):
            self.objects.create_bucket(bucket, "us-east-1")
        with self.objects.incoming() as incoming:
            incoming.write(content)
            self.objects.put(bucket, key, incoming)

    def get(self, key: str, bucket: str = "bucket") -> bytes | None:
        if self.objects.head(bucket, key) is None:
            return None
        with self.objects.read(bucket, key)[1] as stream:
            return stream.read()

    def add(self, name: str, image: str, **request: Any) -> str:
        """Record a job without running it; its ARN."""
        if not self.objects.has_bucket("bucket"):
            self.objects.create_bucket("bucket", "us-east-1")
        arn = Scope("000000000000", "us-east-1").sagemaker_arn("training-job", name)
        job = TrainingJob.created(
            arn, "us-east-1", name, {**_request(name, image), **request}, time.time()
        )
        self.engine.records.add(job, {})
        return arn

    def run(self, name: str, image: str, **request: Any) -> TrainingJob:
        """Run a job to its end."""
        arn = self.add(name, image, **request)
        self.engine.submit(arn)
        return self.wait(arn)

    def job(self, arn: str) -> TrainingJob:
        return self.engine.records.get(arn)

    def wait(
        self, arn: str, until: Callable[[TrainingJob], bool] = lambda job: job.finished
    ) -> TrainingJob:
        """The job once something is true of it."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            job = self.job(arn)
            if until(job):
                return job
            time.sleep(0.005)
        pytest.fail(f"it did not come to that within 30 s: {self.job(arn)}")

    def wait_for_line(self, arn: str, text: str, host: str = "algo-1") -> None:
        """Until a container has printed a line."""

        def printed(job: TrainingJob) -> bool:
            return any(text in line for line in self.lines(job, host))

        self.wait(arn, printed)

    def lines(self, job: TrainingJob, host: str = "algo-1") -> list[str]:
        return [
            event.text
            for run in job.hosts
            if run.host == host
            for event in self.logs.lines("/aws/sagemaker/TrainingJobs", run.log_stream)
        ]

    def close(self) -> None:
        self.engine.close()
        for job in self.engine.records.unfinished():
            for run in job.hosts:
                if run.runtime and run.handle:
                    self.runtime.stop(Handle(run.runtime, run.handle), 0)
        self.database.close()


def _request(name: str, image: str) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "RoleArn": "arn:aws:iam::000000000000:role/Role",
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/jobs"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.xlarge",
            "InstanceCount": 1,
            "VolumeSizeInGB": 1,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    }


@pytest.fixture
def open_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Opens benches on one data directory, one after the other."""
    benches: list[Bench] = []

    def open_bench(grace_seconds: float = 20.0, **settings: Any) -> Bench:
        data = tmp_path / "data"
        bench = Bench(data, Settings(data, training_stop_grace_seconds=grace_seconds, **settings))
        benches.append(bench)
        return bench

    yield open_bench
    for bench in benches:
        bench.close()


@pytest.fixture
def bench(open_bench: Callable[..., Bench]) -> Bench:
    return open_bench()


@pytest.fixture
def killed_plane(tmp_path: Path) -> Callable[..., Any]:
    """Runs the engine in a process of its own for a while, then kills it with -9."""

    @contextmanager
    def killed_plane() -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen(
            [sys.executable, __file__, str(tmp_path / "data")], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        try:
            process.stdout.readline()
            yield process
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    return killed_plane


def main() -> None:
    """A plane that does nothing but run training jobs, until it is killed."""
    data = Path(sys.argv[1])
    bench = Bench(data, Settings(data))
    bench.engine.start()
    print("started", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()

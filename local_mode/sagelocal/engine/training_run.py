"""One training job, seen through from the state it is in to its end.

The worker is the only one that moves a job on; others ask (`look_again`, `close`) through its
inbox, where the ends of containers arrive too, so nothing here polls:

    prepare (stage, image)  ->  start the containers  ->  wait for them  ->  upload  ->  end

Each step first commits the state it belongs to. A plane that takes up a job after `kill -9` finds
it before the containers were started (it begins again), with containers (it waits for them), or
with a verdict (it repeats the upload).
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from sagelocal.domain.failure_reasons import (
    ContainerEnd,
    client_error,
    container_failed,
    internal_error,
)
from sagelocal.domain.metrics import final_metrics
from sagelocal.domain.training import (
    IMAGE_DOWNLOADED,
    LOG_GROUP,
    HostRun,
    IllegalTransition,
    SecondaryStatus,
    StopCause,
    TrainingJob,
    Verdict,
)
from sagelocal.domain.training_spec import Host, TrainingSpec
from sagelocal.engine.artifacts import UploadError, model_uri, upload
from sagelocal.engine.channels import InputDataError, stage
from sagelocal.engine.training_records import NoSuchJob
from sagelocal.engine.training_tools import TrainingTools, handles_of
from sagelocal.runtime.interface import Exit, Handle, RuntimeFault, RuntimeUnavailable

# How long the other hosts of a job get to end by themselves once one has failed.
PEER_GRACE_SECONDS = 5.0
# How much of a container's words can matter for a FailureReason of 1,024 characters.
FAILURE_BYTES = 16 * 1024
LAST_LOG_LINES = 60

log = logging.getLogger(__name__)


class Cancelled(Exception):
    """The job was asked to stop before its containers were started."""


class Closing(Exception):
    """The plane lets go of the job."""


class LostContainer(Exception):
    """A container of the job cannot be seen any more."""


@dataclass(frozen=True)
class Ended:
    """A container ended, or what became of it cannot be known (`error`)."""

    host: str
    exit: Exit | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class Prepared:
    """The image is ready, or cannot be made ready (`error`)."""

    error: Exception | None = None


class LookAgain:
    """The job's row was changed by somebody else: it is asked to stop."""


class Close:
    """The plane is closing."""


Event = Ended | Prepared | LookAgain | Close


class TrainingRun:
    """The worker of one job. `run` returns when the job has ended or the plane closes."""

    def __init__(self, arn: str, tools: TrainingTools) -> None:
        self._arn = arn
        self._tools = tools
        self._inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._closing = threading.Event()

    def look_again(self) -> None:
        """Tell the worker that the job was asked to stop."""
        self._inbox.put(LookAgain())

    def close(self) -> None:
        """Tell the worker to leave the job as it is."""
        self._closing.set()
        self._inbox.put(Close())

    def run(self) -> None:
        try:
            self._run_to_the_end()
        except (Closing, NoSuchJob):
            return
        except Exception:
            # A closing plane takes the database away from under a long upload or download.
            if not self._closing.is_set():
                log.exception("training-job %s: gave up", self._arn)

    def _run_to_the_end(self) -> None:
        try:
            self._run()
        except (Closing, NoSuchJob):
            raise
        except Cancelled:
            self._end(_stopped_as(self._job()))
        except (InputDataError, UploadError) as error:
            self._fail(client_error(str(error)))
        except (RuntimeUnavailable, LostContainer) as error:
            self._fail(internal_error(str(error)))
        except RuntimeFault as error:
            self._fail(client_error(str(error)))
        except Exception as error:
            if not self._closing.is_set():
                log.exception("training-job %s", self._arn)
            self._fail(internal_error(f"{type(error).__name__}: {error}"))

    def _run(self) -> None:
        job = self._tools.records.get(self._arn)
        spec = TrainingSpec.of(job.request)
        before = (SecondaryStatus.STARTING, SecondaryStatus.DOWNLOADING, SecondaryStatus.TRAINING)
        if job.secondary_status in before and job.trained_at is None:
            self._begin(job, spec)
        if self._job().verdict is None:
            self._see_through(spec)
        self._upload(spec)

    # From Starting to running containers

    def _begin(self, job: TrainingJob, spec: TrainingSpec) -> None:
        self._tools.clean_up(job)
        job = self._advance(lambda j: replace(j.restarted(time.time()), hosts=()))
        self._check_output(spec)
        self._enter(SecondaryStatus.DOWNLOADING)
        for host in spec.hosts:
            opt_ml = self._tools.opt_ml(job, host.name)
            opt_ml.prepare(spec, host)
            stage(self._tools.objects, spec, host, opt_ml, self._check_for_stop)
        self._enter(SecondaryStatus.TRAINING)
        self._prepare_image(spec.image)
        self._start_containers(job, spec)

    def _check_output(self, spec: TrainingSpec) -> None:
        """Now, before hours of training, and not when the model is to be stored."""
        if not self._tools.objects.has_bucket(spec.output.bucket):
            raise UploadError(
                f"The bucket of S3OutputPath {spec.output} does not exist; create it with "
                f"`aws s3 mb s3://{spec.output.bucket}`"
            )

    def _prepare_image(self, image: str) -> None:
        """In a thread of its own: it may take minutes, and a stop must not wait for it."""

        def prepare() -> None:
            try:
                self._tools.runtime.prepare(image)
                self._inbox.put(Prepared())
            except Exception as error:
                self._inbox.put(Prepared(error))

        threading.Thread(target=prepare, name=f"prepare {image}", daemon=True).start()
        while True:
            event = self._inbox.get()
            if isinstance(event, Prepared):
                if event.error is not None:
                    raise event.error
                return
            self._react(event)

    def _start_containers(self, job: TrainingJob, spec: TrainingSpec) -> None:
        epoch = int(time.time())
        runs = tuple(HostRun(h.name, f"{job.name}/{h.name}-{epoch}") for h in spec.hosts)
        self._advance(lambda j: replace(j, hosts=runs))
        for host, run in zip(spec.hosts, runs, strict=True):
            if not self._job().stop_cause:
                self._start_container(job, spec, host, run)
        now = time.time()

        def running(job: TrainingJob) -> TrainingJob:
            return (
                job
                if job.stop_cause
                else replace(job.saying(IMAGE_DOWNLOADED, now), trained_at=now)
            )

        self._change(running)

    def _start_container(
        self, job: TrainingJob, spec: TrainingSpec, host: Host, run: HostRun
    ) -> None:
        log_path = self._tools.logs.path(LOG_GROUP, run.log_stream)
        log_path.touch()
        handle = self._tools.runtime.start(self._tools.container(job, spec, host, log_path))
        started = replace(run, runtime=handle.runtime, handle=handle.id)
        self._change(
            lambda j: replace(
                j, hosts=tuple(started if h.host == host.name else h for h in j.hosts)
            )
        )

    # From running containers to a verdict

    def _see_through(self, spec: TrainingSpec) -> None:
        job = self._job()
        handles = dict(handles_of(job))
        if not handles:
            raise Cancelled
        self._require_runtime(handles)
        for host, handle in handles.items():
            self._watch(host, handle)
        exits = self._await(job, spec, handles)
        self._decide(spec, exits)

    def _await(
        self, job: TrainingJob, spec: TrainingSpec, handles: Mapping[str, Handle]
    ) -> dict[str, Exit]:
        """Every container's exit, in the order in which they ended."""
        deadline = (job.trained_at or time.time()) + spec.max_runtime_seconds
        exits: dict[str, Exit] = {}
        told = False
        while len(exits) < len(handles):
            running = {h: handle for h, handle in handles.items() if h not in exits}
            job = self._job()
            if job.stop_cause and not told:
                told = True
                self._stop(running, self._tools.settings.training_stop_grace_seconds)
            event = self._next_event(None if told else max(0.0, deadline - time.time()))
            if event is None:
                self._exceed()
            elif isinstance(event, Ended):
                exits[event.host] = _exit_of(event)
                if exits[event.host].code != 0 and not told and len(exits) < len(handles):
                    told = True
                    running.pop(event.host)
                    self._stop(running, PEER_GRACE_SECONDS)
        return exits

    def _exceed(self) -> None:
        now = time.time()
        self._change(lambda j: j.stopping(StopCause.MAX_RUNTIME, now))

    def _next_event(self, timeout_seconds: float | None) -> Event | None:
        try:
            event = self._inbox.get(timeout=timeout_seconds)
        except queue.Empty:
            return None
        if isinstance(event, Close):
            raise Closing
        return event

    def _watch(self, host: str, handle: Handle) -> None:
        def wait() -> None:
            try:
                self._inbox.put(Ended(host, self._tools.runtime.wait(handle)))
            except Exception as error:
                self._inbox.put(Ended(host, error=error))

        threading.Thread(target=wait, name=f"wait {handle.id}", daemon=True).start()

    def _stop(self, handles: Mapping[str, Handle], grace_seconds: float) -> None:
        """Ask all of them at once; their ends arrive in the inbox as ever."""

        def stop(host: str, handle: Handle) -> None:
            try:
                self._tools.runtime.stop(handle, grace_seconds)
            except Exception as error:
                self._inbox.put(Ended(host, error=error))

        for host, handle in handles.items():
            threading.Thread(
                target=stop, args=(host, handle), name=f"stop {handle.id}", daemon=True
            ).start()

    def _decide(self, spec: TrainingSpec, exits: Mapping[str, Exit]) -> None:
        job = self._job()
        metrics = final_metrics(spec.metrics, self._printed(job))
        reason = next(
            (self._reason(job, spec, host, end) for host, end in exits.items() if end.code != 0),
            None,
        )
        now = time.time()

        def decide(job: TrainingJob) -> TrainingJob:
            if job.stop_cause:
                verdict = Verdict(_stopped_as(job))
            elif reason:
                verdict = Verdict(SecondaryStatus.FAILED, reason)
            else:
                verdict = Verdict(SecondaryStatus.COMPLETED)
            job = job.entering(SecondaryStatus.UPLOADING, now)
            return replace(job, verdict=verdict, metrics=metrics)

        self._change(decide)

    def _reason(self, job: TrainingJob, spec: TrainingSpec, host: str, end: Exit) -> str:
        run = next(run for run in job.hosts if run.host == host)
        machine = next(h for h in spec.hosts if h.name == host)
        last = self._tools.logs.backwards(LOG_GROUP, run.log_stream, limit=LAST_LOG_LINES)
        return container_failed(
            ContainerEnd(
                host=host,
                exit_code=end.code,
                out_of_memory=end.out_of_memory,
                failure=self._failure_text(job, host),
                last_lines=[event.text for event in last.events],
                memory_bytes=self._tools.memory_bytes(machine),
            )
        )

    def _failure_text(self, job: TrainingJob, host: str) -> str:
        try:
            with self._tools.opt_ml(job, host).failure.open("rb") as file:
                return file.read(FAILURE_BYTES).decode("utf-8", "replace")
        except OSError:
            # Not written, or not ours to read: the log has to say it.
            return ""

    def _printed(self, job: TrainingJob) -> Iterator[tuple[float, str]]:
        for run in job.hosts:
            for event in self._tools.logs.lines(LOG_GROUP, run.log_stream):
                yield event.timestamp / 1000, event.text

    # From a verdict to the end

    def _upload(self, spec: TrainingSpec) -> None:
        job = self._job()
        verdict = job.verdict
        if verdict is None:
            raise IllegalTransition(f"{job.name} has no verdict to upload with")
        hosts = [self._tools.opt_ml(job, run.host) for run in job.hosts]
        try:
            upload(self._tools.objects, spec, job.name, hosts)
        except UploadError as error:
            reason = verdict.failure_reason or client_error(str(error))
            verdict = Verdict(SecondaryStatus.FAILED, reason)
        self._end(verdict.status, verdict.failure_reason, str(model_uri(spec, job.name)))

    def _fail(self, reason: str) -> None:
        self._end(SecondaryStatus.FAILED, reason)

    def _end(
        self,
        status: SecondaryStatus,
        failure_reason: str | None = None,
        model_artifacts: str | None = None,
    ) -> None:
        now = time.time()
        job = self._change(
            lambda j: replace(
                j.entering(status, now),
                failure_reason=failure_reason,
                model_artifacts=model_artifacts,
            )
        )
        log.info("training-job %s: %s %s", job.name, job.status, failure_reason or "")
        # Only now: whoever waits for the job does not wait for this.
        self._tools.clean_up(job)

    # The job's row, and those who ask

    def _job(self) -> TrainingJob:
        return self._tools.records.get(self._arn)

    def _change(self, change: Callable[[TrainingJob], TrainingJob]) -> TrainingJob:
        if self._closing.is_set():
            raise Closing
        return self._tools.records.change(self._arn, change)

    def _advance(self, change: Callable[[TrainingJob], TrainingJob]) -> TrainingJob:
        """Change the job unless it was asked to stop. Raises Cancelled."""

        def guarded(job: TrainingJob) -> TrainingJob:
            if job.stop_cause:
                raise Cancelled
            return change(job)

        return self._change(guarded)

    def _enter(self, status: SecondaryStatus) -> TrainingJob:
        job = self._advance(lambda j: j.entering(status, time.time()))
        log.info("training-job %s: %s", job.name, status)
        return job

    def _check_for_stop(self) -> None:
        while True:
            try:
                self._react(self._inbox.get_nowait())
            except queue.Empty:
                return

    def _react(self, event: Event) -> None:
        """To what arrives before the containers run."""
        if isinstance(event, Close):
            raise Closing
        if isinstance(event, LookAgain) and self._job().stop_cause:
            raise Cancelled

    def _require_runtime(self, handles: Mapping[str, Handle]) -> None:
        name = self._tools.runtime.name
        for host, handle in handles.items():
            if handle.runtime != name:
                raise LostContainer(
                    f"{host} was started by the {handle.runtime} runtime, and this plane runs "
                    f"{name}; start it with `sagelocal up --runtime {handle.runtime}`"
                )


def _exit_of(event: Ended) -> Exit:
    if event.exit is None:
        raise LostContainer(f"{event.host} cannot be seen any more: {event.error}")
    return event.exit


def _stopped_as(job: TrainingJob) -> SecondaryStatus:
    if job.stop_cause is StopCause.MAX_RUNTIME:
        return SecondaryStatus.MAX_RUNTIME_EXCEEDED
    return SecondaryStatus.STOPPED

"""A job's containers, one per host: started together, waited for together, stopped together."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sagelocal.domain.training import IMAGE_DOWNLOADED, LOG_GROUP, HostRun, StopCause, TrainingJob
from sagelocal.domain.training_spec import Host, TrainingSpec
from sagelocal.engine.training_inbox import (
    Cancelled,
    Ended,
    Event,
    Inbox,
    LookAgain,
    LostContainer,
    Prepared,
    Starved,
)
from sagelocal.engine.training_row import JobRow
from sagelocal.engine.training_tools import TrainingTools, handles_of
from sagelocal.engine.version_notes import say_version
from sagelocal.runtime import feeding
from sagelocal.runtime.interface import Exit, Handle

# How long the other hosts of a job get to end by themselves once one has failed.
PEER_GRACE_SECONDS = 5.0


class Cluster:
    """The containers of one job. Every method may raise Closing."""

    def __init__(self, row: JobRow, inbox: Inbox, tools: TrainingTools) -> None:
        self._row = row
        self._inbox = inbox
        self._tools = tools

    def check_for_stop(self) -> None:
        """Raises Cancelled if the job was asked to stop."""
        for event in self._inbox.waiting():
            self._react(event)

    def pause(self, seconds: float) -> None:
        """Do nothing for a while. Raises Cancelled."""
        deadline = time.time() + seconds
        while (event := self._inbox.next(_seconds_until(deadline))) is not None:
            self._react(event)

    def prepare(self, spec: TrainingSpec) -> None:
        """Make the image ready, or raise what prevents it. Raises Cancelled.

        In a thread of its own: it may take minutes, and a stop must not wait for it.
        """

        def prepare() -> None:
            try:
                self._tools.runtime.prepare(spec.image)
                self._inbox.put(Prepared())
            except Exception as error:
                self._inbox.put(Prepared(error))

        threading.Thread(target=prepare, name=f"prepare {spec.image}", daemon=True).start()
        waited_until = wait_deadline(self._row.job(), spec)
        while True:
            event = self._inbox.next(_seconds_until(waited_until))
            if event is None:
                self._exceed(StopCause.MAX_WAIT)
                raise Cancelled
            if isinstance(event, Prepared):
                if event.error is not None:
                    raise event.error
                return
            self._react(event)

    def start(self, job: TrainingJob, spec: TrainingSpec) -> None:
        """Start every host's container. Raises RuntimeFault, Cancelled."""
        epoch = int(time.time())
        runs = tuple(HostRun(h.name, f"{job.name}/{h.name}-{epoch}") for h in spec.hosts)
        self._row.advance(lambda j: replace(j, hosts=runs))
        for host, run in zip(spec.hosts, runs, strict=True):
            if not self._row.job().stop_cause:
                self._start_container(job, spec, host, run)
        now = time.time()

        def running(job: TrainingJob) -> TrainingJob:
            return (
                job
                if job.stop_cause
                else replace(job.saying(IMAGE_DOWNLOADED, now), trained_at=now)
            )

        self._row.change(running)

    def see_through(self, spec: TrainingSpec) -> dict[str, Exit]:
        """Every container's exit, in the order in which they ended.

        Raises Cancelled if none was started, LostContainer.
        """
        job = self._row.job()
        handles = dict(handles_of(job))
        if not handles:
            raise Cancelled
        self._require_runtime(handles)
        for host, handle in handles.items():
            self._watch(host, handle)
            self._watch_pipes(self._tools.opt_ml(job, host).pipes)
        return self._await(job, spec, handles)

    def _start_container(
        self, job: TrainingJob, spec: TrainingSpec, host: Host, run: HostRun
    ) -> None:
        log_path = self._tools.logs.path(LOG_GROUP, run.log_stream)
        log_path.touch()
        if host == spec.hosts[0] and not job.earlier_streams:
            who = f"training-job {job.name}"
            say_version(self._tools.runtime, spec.image, log_path, who, self._tools.gpus(host).note)
        pipes = self._tools.opt_ml(job, host.name).pipes
        if feeding.is_planned(pipes):
            feeding.start(pipes)
        handle = self._tools.runtime.start(self._tools.container(job, spec, host, log_path))
        started = replace(run, runtime=handle.runtime, handle=handle.id)
        self._row.change(
            lambda j: replace(
                j, hosts=tuple(started if h.host == host.name else h for h in j.hosts)
            )
        )

    def _await(
        self, job: TrainingJob, spec: TrainingSpec, handles: Mapping[str, Handle]
    ) -> dict[str, Exit]:
        exits: dict[str, Exit] = {}
        told = False
        deadline, cause = deadline_of(job, spec)
        while len(exits) < len(handles):
            running = {h: handle for h, handle in handles.items() if h not in exits}
            job = self._row.job()
            if (job.stop_cause or job.interruption) and not told:
                told = True
                self._stop(running, self._tools.settings.training_stop_grace_seconds)
            event = self._inbox.next(None if told else _seconds_until(deadline))
            if event is None:
                self._exceed(cause)
            elif isinstance(event, Ended) and event.handle == running.get(event.host):
                exits[event.host] = _exit_of(event)
                if exits[event.host].code != 0 and not told and len(exits) < len(handles):
                    told = True
                    running.pop(event.host)
                    self._stop(running, PEER_GRACE_SECONDS)
            elif isinstance(event, Starved) and not told and feeding.failure(event.pipes):
                # An earlier attempt's process, which was ended with it, is none of this one's.
                told = True
                self._stop(running, PEER_GRACE_SECONDS)
        return exits

    def _exceed(self, cause: StopCause) -> None:
        now = time.time()
        self._row.change(lambda j: j.stopping(cause, now))

    def _watch(self, host: str, handle: Handle) -> None:
        def wait() -> None:
            try:
                self._inbox.put(Ended(host, handle, self._tools.runtime.wait(handle)))
            except Exception as error:
                self._inbox.put(Ended(host, handle, error=error))

        threading.Thread(target=wait, name=f"wait {handle.id}", daemon=True).start()

    def _watch_pipes(self, pipes: Path) -> None:
        """A container whose pipes nobody fills would wait for ever."""
        if not feeding.is_planned(pipes):
            return

        def wait() -> None:
            feeding.wait(pipes)
            self._inbox.put(Starved(pipes))

        threading.Thread(target=wait, name=f"pipes {pipes}", daemon=True).start()

    def _stop(self, handles: Mapping[str, Handle], grace_seconds: float) -> None:
        """Ask all of them at once; their ends arrive in the inbox as ever."""

        def stop(host: str, handle: Handle) -> None:
            try:
                self._tools.runtime.stop(handle, grace_seconds)
            except Exception as error:
                self._inbox.put(Ended(host, handle, error=error))

        for host, handle in handles.items():
            threading.Thread(
                target=stop, args=(host, handle), name=f"stop {handle.id}", daemon=True
            ).start()

    def _react(self, event: Event) -> None:
        """To what arrives before the containers run."""
        if isinstance(event, LookAgain) and self._row.job().stop_cause:
            raise Cancelled

    def _require_runtime(self, handles: Mapping[str, Handle]) -> None:
        name = self._tools.runtime.name
        for host, handle in handles.items():
            if handle.runtime != name:
                raise LostContainer(
                    f"{host} was started by the {handle.runtime} runtime, and this plane runs "
                    f"{name}; start it with `sagelocal up --runtime {handle.runtime}`"
                )


def deadline_of(job: TrainingJob, spec: TrainingSpec) -> tuple[float, StopCause]:
    """When a job whose containers run is to be stopped, and why (seconds since 1970)."""
    began = job.trained_at or time.time()
    end = began + spec.max_runtime_seconds - job.trained_before
    waited = wait_deadline(job, spec)
    if waited is not None and waited < end:
        return waited, StopCause.MAX_WAIT
    return end, StopCause.MAX_RUNTIME


def wait_deadline(job: TrainingJob, spec: TrainingSpec) -> float | None:
    """When MaxWaitTimeInSeconds is over; it counts from the job's creation."""
    return None if spec.max_wait_seconds is None else job.created_at + spec.max_wait_seconds


def _seconds_until(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.time())


def _exit_of(event: Ended) -> Exit:
    if event.exit is None:
        raise LostContainer(f"{event.host} cannot be seen any more: {event.error}")
    return event.exit

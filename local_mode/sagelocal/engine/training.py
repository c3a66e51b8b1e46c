"""Training jobs, made to happen: one worker thread for each job that has not ended.

A job's state is committed before the engine acts on it, so that the next plane can go on where
this one was killed: `start` takes up every job that has not ended.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from sagelocal.domain.training import StopCause, TrainingJob
from sagelocal.engine.training_records import TrainingRecords
from sagelocal.engine.training_run import TrainingRun
from sagelocal.engine.training_tools import TrainingTools, job_folder, remove_folder
from sagelocal.runtime.interface import Runtime
from sagelocal.settings import Settings
from sagelocal.store.logs import LogStore
from sagelocal.store.objects import ObjectStore
from sagelocal.store.resources import Resources

CLOSE_TIMEOUT_SECONDS = 5.0

log = logging.getLogger(__name__)


class TrainingEngine:
    """Runs training jobs on a runtime. Safe to use from any thread."""

    def __init__(
        self,
        resources: Resources,
        objects: ObjectStore,
        logs: LogStore,
        runtime: Runtime,
        settings: Settings,
        *,
        folder: Path,
    ) -> None:
        self._tools = TrainingTools(
            TrainingRecords(resources), objects, logs, runtime, settings, folder
        )
        self._lock = threading.Lock()
        self._workers: dict[str, tuple[TrainingRun, threading.Thread]] = {}
        self._closed = False

    @property
    def records(self) -> TrainingRecords:
        return self._tools.records

    def start(self) -> None:
        """Take up every job that an earlier plane left, and remove what ended jobs left."""
        jobs = self._tools.records.unfinished()
        self._sweep({job_folder(self._tools.folder, job) for job in jobs})
        for job in jobs:
            log.info("training-job %s: taken up in %s", job.name, job.secondary_status)
            self.submit(job.arn)

    def submit(self, arn: str) -> None:
        """Let a worker see the job through, from the state that it is in."""
        run = TrainingRun(arn, self._tools)
        with self._lock:
            if self._closed:
                return
            # A job of a name that was deleted waits until the one before it has been cleared away.
            earlier = self._workers.get(arn)
            thread = threading.Thread(
                target=self._work,
                args=(arn, run, earlier[1] if earlier else None),
                name=f"training {arn}",
                daemon=True,
            )
            self._workers[arn] = (run, thread)
            thread.start()

    def stop(self, arn: str) -> TrainingJob:
        """Ask a job to stop; the job as it is now. Harmless if it ends already.

        Raises NoSuchJob.
        """
        now = time.time()
        return self._ask(arn, lambda j: j.stopping(StopCause.REQUESTED, now))

    def interrupt(self, arn: str) -> TrainingJob:
        """Take a spot job's instances away: it is stopped, and begins again from its checkpoints.

        Raises NoSuchJob, NotInterruptible.
        """
        now = time.time()
        return self._ask(arn, lambda j: j.interrupting(now))

    def close(self) -> None:
        """Let go of every job; containers go on running for the next plane."""
        with self._lock:
            self._closed = True
            workers = list(self._workers.values())
        for run, _ in workers:
            run.close()
        for _, thread in workers:
            thread.join(CLOSE_TIMEOUT_SECONDS)

    def _ask(self, arn: str, change: Callable[[TrainingJob], TrainingJob]) -> TrainingJob:
        job = self._tools.records.change(arn, change)
        with self._lock:
            worker = self._workers.get(arn)
        if worker is not None:
            worker[0].look_again()
        return job

    def _work(self, arn: str, run: TrainingRun, earlier: threading.Thread | None) -> None:
        if earlier is not None:
            earlier.join()
        try:
            run.run()
        finally:
            with self._lock:
                if self._workers[arn][0] is run:
                    del self._workers[arn]

    def _sweep(self, wanted: set[Path]) -> None:
        """Clear away what a plane left that was killed between a job's end and its clean-up."""
        for folder in self._tools.folder.glob("*/*"):
            if folder in wanted:
                continue
            job = self._tools.records.find(folder.parent.name, folder.name)
            if job is not None:
                self._tools.clean_up(job)
            remove_folder(folder)

"""Transform jobs, made to happen: one worker thread for each job that has not ended.

`start` takes up what an earlier plane left.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from sagelocal.domain.transform import TransformJob
from sagelocal.engine.transform_records import TransformRecords
from sagelocal.engine.transform_run import TransformRun
from sagelocal.engine.transform_tools import TransformTools
from sagelocal.runtime.interface import Runtime
from sagelocal.settings import Settings
from sagelocal.store.logs import LogStore
from sagelocal.store.objects import ObjectStore
from sagelocal.store.resources import Resources

CLOSE_TIMEOUT_SECONDS = 5.0

log = logging.getLogger(__name__)


class TransformEngine:
    """Runs transform jobs on a runtime. Safe to use from any thread."""

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
        self._tools = TransformTools(
            TransformRecords(resources),
            objects,
            logs,
            runtime,
            settings,
            folder,
            threading.Event(),
        )
        self._lock = threading.Lock()
        self._workers: dict[str, tuple[TransformRun, threading.Thread]] = {}

    @property
    def records(self) -> TransformRecords:
        return self._tools.records

    def start(self) -> None:
        """Take up every job that an earlier plane left, and remove what ended jobs left."""
        jobs = self.records.unfinished()
        self._tools.sweep(jobs)
        for job in jobs:
            log.info("transform-job %s: taken up in %s", job.name, job.status)
            self.submit(job.arn)

    def submit(self, arn: str) -> None:
        """Let a worker see the job through, from the state that it is in."""
        run = TransformRun(arn, self._tools)
        with self._lock:
            if self._tools.closing.is_set():
                return
            thread = threading.Thread(
                target=self._work, args=(arn, run), name=f"transform {arn}", daemon=True
            )
            self._workers[arn] = (run, thread)
            thread.start()

    def stop(self, arn: str) -> TransformJob:
        """Ask a job to stop; the job as it is now. Raises NoSuchTransformJob."""
        job = self.records.change(arn, lambda j: j.stopping(time.time()))
        with self._lock:
            worker = self._workers.get(arn)
        if worker is not None:
            worker[0].stop()
        return job

    def close(self) -> None:
        """Let go of every job; containers go on running for the next plane."""
        with self._lock:
            self._tools.closing.set()
            workers = list(self._workers.values())
        for run, _ in workers:
            run.close()
        for _, thread in workers:
            thread.join(CLOSE_TIMEOUT_SECONDS)

    def _work(self, arn: str, run: TransformRun) -> None:
        try:
            run.run()
        finally:
            with self._lock:
                del self._workers[arn]

"""One training job, seen through from the state it is in to its end.

The worker is the only one that moves a job on; others ask (`look_again`, `close`) through its
inbox, where the ends of containers arrive too, so nothing here polls:

    prepare (stage, image)  ->  start the containers  ->  wait for them  ->  upload  ->  end
             ^---------------- interrupted (spot), or the platform failed ---'

Each step first commits the state it belongs to. A plane that takes up a job after `kill -9` finds
it before the containers were started (it begins again), with containers (it waits for them), or
with a verdict (it repeats the upload).

    training_inbox     what the worker is told
    training_row       the job's row, committed before anything is done
    training_cluster   the containers: image, start, wait, stop
    training_outcome   verdict, reason, metrics
    checkpoints        what is kept in S3 while the containers run, TensorBoard's files as well
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sagelocal.domain.failure_reasons import capacity_error, client_error, internal_error
from sagelocal.domain.names import S3Uri
from sagelocal.domain.training import (
    IllegalTransition,
    SecondaryStatus,
    TrainingJob,
    Verdict,
)
from sagelocal.domain.training_spec import TrainingSpec
from sagelocal.engine.artifacts import UploadError, model_uri, upload
from sagelocal.engine.channels import stage
from sagelocal.engine.checkpoints import CheckpointError, CheckpointFolder, CheckpointKeeper
from sagelocal.engine.gpus import NoGpus
from sagelocal.engine.sources import InputDataError
from sagelocal.engine.training_cluster import Cluster
from sagelocal.engine.training_inbox import (
    Cancelled,
    Close,
    Closing,
    Inbox,
    LookAgain,
    LostContainer,
)
from sagelocal.engine.training_outcome import (
    failure_reason,
    lost_pipes,
    metrics_of,
    stopped_as,
    verdict_of,
)
from sagelocal.engine.training_records import NoSuchJob
from sagelocal.engine.training_row import JobRow
from sagelocal.engine.training_tools import TrainingTools
from sagelocal.runtime import feeding
from sagelocal.runtime.interface import Exit, RuntimeFault, RuntimeUnavailable

# Between attempts of a RetryStrategy, or to record what became of a job; doubled each time.
FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 60.0
# Below the S3OutputPath and the job's name (SageMaker SDK: latest_job_tensorboard_artifacts_path).
_TENSORBOARD = "tensorboard-output"

log = logging.getLogger(__name__)


class PlatformFailure(Exception):
    """The job failed through no fault of its own; what RetryStrategy repeats."""


class TrainingRun:
    """The worker of one job. `run` returns when the job has ended or the plane closes."""

    def __init__(self, arn: str, tools: TrainingTools) -> None:
        self._tools = tools
        self._inbox = Inbox()
        self._row = JobRow(arn, tools.records)
        self._cluster = Cluster(self._row, self._inbox, tools)

    def look_again(self) -> None:
        """Tell the worker that the job is to stop, or is interrupted."""
        self._inbox.put(LookAgain())

    def close(self) -> None:
        """Tell the worker to leave the job as it is."""
        self._row.close()
        self._inbox.put(Close())

    def run(self) -> None:
        """What cannot be recorded (a full disk under the database) is tried until it can be."""
        wait_seconds = FIRST_RETRY_SECONDS
        while True:
            try:
                return self._run_to_the_end()
            except (Closing, NoSuchJob):
                return None
            except Exception:
                # A closing plane takes the database away from under a long upload or download.
                if self._row.closing:
                    return None
                log.exception("training-job %s: next try in %g s", self._row.arn, wait_seconds)
            if self._row.wait_for_closing(wait_seconds):
                return None
            wait_seconds = min(LONGEST_RETRY_SECONDS, wait_seconds * 2)

    def _run_to_the_end(self) -> None:
        while True:
            try:
                return self._attempt()
            except PlatformFailure as failure:
                if not self._may_retry():
                    return self._fail(internal_error(str(failure)))
                job = self._row.change(lambda j: j.retried(time.time()))
                log.warning("training-job %s: attempt %d: %s", job.name, job.retries, failure)
            try:
                self._cluster.pause(
                    min(FIRST_RETRY_SECONDS * 2 ** (job.retries - 1), LONGEST_RETRY_SECONDS)
                )
            except Cancelled:
                return self._end(stopped_as(self._row.job()))

    def _attempt(self) -> None:
        """Raises PlatformFailure."""
        try:
            self._run()
        except (Closing, NoSuchJob, PlatformFailure):
            raise
        except Cancelled:
            self._end(stopped_as(self._row.job()))
        except (InputDataError, CheckpointError, UploadError) as error:
            self._fail(client_error(str(error)))
        except (RuntimeUnavailable, LostContainer) as error:
            raise PlatformFailure(str(error)) from error
        except NoGpus as error:
            self._fail(capacity_error(str(error)))
        except RuntimeFault as error:
            self._fail(client_error(str(error)))
        except Exception as error:
            if not self._row.closing:
                log.exception("training-job %s", self._row.arn)
            raise PlatformFailure(f"{type(error).__name__}: {error}") from error

    def _may_retry(self) -> bool:
        job = self._row.job()
        if job.stop_cause or job.verdict:
            return False
        return job.retries < TrainingSpec.of(job.request).max_retries

    def _run(self) -> None:
        spec = TrainingSpec.of(self._row.job().request)
        while (job := self._row.job()).verdict is None:
            if job.stop_cause is None and job.trained_at is None:
                self._begin(job, spec)
            self._see_through(spec)
        self._upload(spec)

    def _begin(self, job: TrainingJob, spec: TrainingSpec) -> None:
        """From Starting to running containers."""
        self._tools.clean_up(job)
        job = self._row.advance(lambda j: j.restarted(time.time()))
        for host in spec.hosts:
            self._tools.gpus(host).require()
        self._check_output(spec)
        self._row.enter(SecondaryStatus.DOWNLOADING)
        for host in spec.hosts:
            opt_ml = self._tools.opt_ml(job, host.name)
            opt_ml.prepare(spec, host, self._tools.runtime.network_interface)
            stage(
                self._tools.objects,
                spec,
                host,
                opt_ml,
                self._cluster.check_for_stop,
                overlay=self._tools.runtime.can_overlay(opt_ml.root),
            )
        for checkpoints in self._checkpoints(job, spec):
            checkpoints.restore(self._cluster.check_for_stop)
        self._row.enter(SecondaryStatus.TRAINING)
        self._cluster.prepare(spec)
        self._cluster.start(job, spec)

    def _check_output(self, spec: TrainingSpec) -> None:
        """Now, before hours of training, and not when the model is to be stored."""
        if not self._tools.objects.has_bucket(spec.output.bucket):
            raise UploadError(
                f"The bucket of S3OutputPath {spec.output} does not exist; create it with "
                f"`aws s3 mb s3://{spec.output.bucket}`"
            )

    def _checkpoints(self, job: TrainingJob, spec: TrainingSpec) -> Sequence[CheckpointFolder]:
        """Every host's checkpoints; none if the job has no CheckpointConfig."""
        if spec.checkpoints is None:
            return ()
        folders = [self._tools.opt_ml(job, host.name) for host in spec.hosts]
        return [
            CheckpointFolder(
                self._tools.objects,
                spec.checkpoints.uri,
                folder.checkpoints(spec.checkpoints.path),
                folder.root / "checkpoints.json",
            )
            for folder in folders
        ]

    def _tensorboard(self, job: TrainingJob, spec: TrainingSpec) -> Sequence[CheckpointFolder]:
        """Every host's folder for TensorBoard, kept where the SDK looks for it."""
        if spec.tensorboard is None:
            return ()
        given = spec.tensorboard.uri
        key = "/".join(part for part in (given.key.strip("/"), job.name, _TENSORBOARD) if part)
        folders = [self._tools.opt_ml(job, host.name) for host in spec.hosts]
        return [
            CheckpointFolder(
                self._tools.objects,
                S3Uri(given.bucket, key),
                folder.tensorboard(spec.tensorboard.path),
                folder.root / "tensorboard.json",
                "TensorBoard",
            )
            for folder in folders
        ]

    def _see_through(self, spec: TrainingSpec) -> None:
        """From running containers to a verdict, or to an interruption."""
        job = self._row.job()
        kept = (*self._checkpoints(job, spec), *self._tensorboard(job, spec))
        with CheckpointKeeper(kept) as keeper:
            try:
                exits = self._cluster.see_through(spec)
            except LostContainer:
                keeper.finish()
                raise
            fault = keeper.finish()
        job = self._row.job()
        if job.interruption and not job.stop_cause:
            if fault:
                log.warning("training-job %s: %s", job.name, fault)
            self._row.change(lambda j: j.interrupted(time.time()))
            log.info("training-job %s: %s", job.name, SecondaryStatus.INTERRUPTED)
        else:
            self._decide(spec, exits, client_error(fault) if fault else None)

    def _decide(self, spec: TrainingSpec, exits: Mapping[str, Exit], fault: str | None) -> None:
        """`fault` is what else failed besides the containers. Raises PlatformFailure."""
        job = self._row.job()
        if lost_pipes(self._tools, job) and self._may_retry():
            raise PlatformFailure(feeding.LOST)
        metrics = metrics_of(self._tools, job, spec)
        reason = failure_reason(self._tools, job, spec, exits) or fault
        now = time.time()

        def decide(job: TrainingJob) -> TrainingJob:
            verdict = verdict_of(job, reason)
            uploading = job.entering(SecondaryStatus.UPLOADING, now)
            return replace(uploading, verdict=verdict, metrics=metrics)

        self._row.change(decide)

    def _upload(self, spec: TrainingSpec) -> None:
        """From a verdict to the end."""
        job = self._row.job()
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
        job = self._row.change(
            lambda j: replace(
                j.entering(status, now),
                failure_reason=failure_reason,
                model_artifacts=model_artifacts,
            )
        )
        log.info("training-job %s: %s %s", job.name, job.status, failure_reason or "")
        # Only now: whoever waits for the job does not wait for this.
        try:
            self._tools.clean_up(job)
        except Exception:
            log.exception("training-job %s: something of it was left behind", job.name)

"""One transform job, from its instances to its output.

    model data, containers  ->  how they want to be called  ->  every file in requests, so many at
    once  ->  answers put together in their order  ->  a file below S3OutputPath for each

A file that fails has no output and fails the job; the others have theirs. A plane that takes up a
job finds its containers again, and begins with its files anew: an output is stored whole or not at
all. Source: developer guide, "Batch Transform".
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from sagelocal.domain.hosting_reasons import shorten
from sagelocal.domain.transform import (
    LOG_GROUP,
    TransformJob,
    TransformJobStatus,
    stream_of,
)
from sagelocal.domain.transform_spec import ExecutionParameters, TransformSpec
from sagelocal.engine.deployments import close_all, start_all, stop_all
from sagelocal.engine.execution_parameters import BadParameters, ask
from sagelocal.engine.forwarding import Answer
from sagelocal.engine.instance_keeper import (
    InstanceKeeper,
    NotRunning,
    StartFault,
    Stopped,
)
from sagelocal.engine.invocation import NO_STATUS, Invocation, Limits, ModelFault, call_through
from sagelocal.engine.model_data import ModelDataFault
from sagelocal.engine.sources import InputDataError, find_objects
from sagelocal.engine.transform_files import FileFault, TransformedFile
from sagelocal.engine.transform_records import NoSuchTransformJob
from sagelocal.engine.transform_tools import Closing, Stopping, TransformTools
from sagelocal.store.logs import LogEvent

MOST_ANSWER_BYTES = 1024**3
# Requests that are cut already while those before them are answered.
AHEAD = 2
# Between tries of a request whose container is being started again.
RETRY_SECONDS = 0.5

Batch = tuple[bytes, ...]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Sent:
    """A request under way; without a batch, the end of its file."""

    file: TransformedFile
    batch: Batch = ()
    answer: Future[Answer] | None = None


class TransformRun:
    """The worker of one job. `run` returns when the job has ended or the plane closes."""

    def __init__(self, arn: str, tools: TransformTools) -> None:
        self._arn = arn
        self._tools = tools
        self._stop = threading.Event()
        self._keepers: Sequence[InstanceKeeper] = ()
        self._faults: list[str] = []
        self._turn = 0

    def stop(self) -> None:
        """Let the job end as soon as may be: it was asked to."""
        self._stop.set()
        for keeper in self._keepers:
            keeper.ask_to_stop()

    def close(self) -> None:
        """Leave the job as it is; its containers go on running."""
        self._stop.set()
        for keeper in self._keepers:
            keeper.ask_to_close()

    def run(self) -> None:
        """Never raises."""
        try:
            job = self._tools.records.get(self._arn)
            self._see_through(job)
        except (Closing, NoSuchTransformJob):
            pass
        except Exception:
            # A closing plane takes the database away from under a long download.
            if not self._tools.closing.is_set():
                log.exception("transform-job %s", self._arn)

    def _see_through(self, job: TransformJob) -> None:
        reason: str | None = None
        self._keepers = keepers = self._tools.keepers(job)
        try:
            if job.status is TransformJobStatus.IN_PROGRESS:
                self._transform(job, TransformSpec.of(job.request), keepers)
        except Closing:
            close_all(keepers)
            raise
        except Stopping:
            pass
        except (ModelDataFault, InputDataError, BadParameters, StartFault) as fault:
            self._tools.check_closing()
            reason = f"ClientError: {fault}"
        except Exception as error:
            self._tools.check_closing()
            log.exception("transform-job %s", job.name)
            reason = f"InternalServerError: {type(error).__name__}: {error}"
        if self._faults:
            reason = f"{self._faults[0]} See job logs for more information."
        stop_all(keepers)
        self._tools.check_closing()
        job = self._tools.records.change(
            job.arn, lambda j: j.ended(time.time(), shorten(reason) if reason else None)
        )
        self._tools.discard(job)
        log.info("transform-job %s: %s %s", job.name, job.status, job.failure_reason or "")

    def _transform(
        self, job: TransformJob, spec: TransformSpec, keepers: list[InstanceKeeper]
    ) -> None:
        """Raises Stopping, Closing; ModelDataFault, InputDataError, BadParameters, StartFault."""
        sources = find_objects(self._tools.objects, spec.data)
        self._tools.stage(job, self._check)
        self._check()
        start_all(keepers)
        self._tools.records.change(job.arn, lambda j: j.begun(time.time()))
        with keepers[0].serving() as hops:
            address = hops[0].connections.address
        parameters = spec.parameters(ask(address, self._tools.settings.ping_timeout_seconds))
        self._say(
            job,
            f"MaxConcurrentTransforms={parameters.max_concurrent}, "
            f"MaxPayloadInMB={parameters.max_payload_mb}, BatchStrategy={parameters.strategy}",
        )
        folder = self._tools.folder_of(job)
        files = [TransformedFile(spec, source, self._tools.objects, folder) for source in sources]
        at_once = parameters.max_concurrent * len(keepers)
        with ExitStack() as stack:
            pool = ThreadPoolExecutor(at_once, thread_name_prefix="transform")
            stack.callback(pool.shutdown, wait=False, cancel_futures=True)
            for file in files:
                stack.callback(file.discard)
            under_way: deque[_Sent] = deque()
            for sent in self._sent(job, files, parameters, keepers, pool):
                under_way.append(sent)
                while len(under_way) > at_once + AHEAD:
                    self._settle(job, under_way.popleft())
            while under_way:
                self._settle(job, under_way.popleft())

    def _sent(
        self,
        job: TransformJob,
        files: list[TransformedFile],
        parameters: ExecutionParameters,
        keepers: list[InstanceKeeper],
        pool: ThreadPoolExecutor,
    ) -> Iterator[_Sent]:
        """Each request of each file, and the file's end. Raises Stopping, Closing."""
        for file in files:
            for batch, body in file.requests(parameters):
                self._check()
                self._turn += 1
                keeper = keepers[self._turn % len(keepers)]
                yield _Sent(file, batch, pool.submit(self._call, job, file.spec, keeper, body))
                if file.fault is not None:
                    break
            yield _Sent(file)

    def _settle(self, job: TransformJob, sent: _Sent) -> None:
        """Take an answer, or store a file whose answers are all there."""
        file = sent.file
        if sent.answer is None:
            if file.fault is None:
                try:
                    file.store()
                except FileFault as fault:
                    file.fault = str(fault)
            if file.fault is not None:
                self._fail(job, file, "ClientError", file.fault)
            return
        try:
            file.take(sent.batch, sent.answer.result())
        except ModelFault as fault:
            if file.fault is None:
                whose = "ClientError" if 400 <= fault.status < 500 else "AlgorithmError"
                said = f"Bad HTTP status received from algorithm: {fault.status}"
                if fault.status == NO_STATUS:
                    said = "The algorithm gave no answer"
                self._fail(job, file, whose, f"{said}. Message: {fault.message.strip()}")
                file.fault = ""

    def _fail(self, job: TransformJob, file: TransformedFile, whose: str, why: str) -> None:
        """A file has no output; said once for each."""
        if why:
            self._say(job, f"{file.name}: {why}")
            self._faults.append(f"{whose}: {file.name}: {why.rstrip('.')}.")

    def _call(
        self, job: TransformJob, spec: TransformSpec, keeper: InstanceKeeper, body: bytes
    ) -> Answer:
        """The model's answer. Raises ModelFault, Stopping, Closing."""
        invocation = Invocation(body, spec.data.content_type, spec.accept)
        limits = Limits(spec.timeout_seconds, spec.timeout_seconds, MOST_ANSWER_BYTES)
        for left in reversed(range(spec.retries + 1)):
            self._check()
            try:
                with keeper.serving() as hops:
                    return call_through(hops, job.variant, invocation, limits).answer
            except ModelFault as fault:
                # What is the request's own fault is no better the second time.
                if not left or 400 <= fault.status < 500:
                    raise
            except Stopped:
                self._check()
                raise
            except NotRunning as down:
                if not left:
                    label = job.variant.containers[0].label
                    text = f"The model's containers are not running: {down}"
                    raise ModelFault(label, NO_STATUS, text, job.variant) from down
            self._stop.wait(RETRY_SECONDS)
        raise AssertionError("range(retries + 1) is never empty")

    def _check(self) -> None:
        """Raises Closing once the plane is, Stopping once the job is asked to stop."""
        self._tools.check_closing()
        if self._stop.is_set():
            raise Stopping

    def _say(self, job: TransformJob, text: str) -> None:
        """A line in the job's data log."""
        stream = f"{stream_of(job.name, job.variant.instances[0])}/data-log"
        event = LogEvent(int(time.time() * 1000), f"[sagemaker logs]: {text}")
        with suppress(OSError):
            self._tools.logs.append(LOG_GROUP, stream, [event])

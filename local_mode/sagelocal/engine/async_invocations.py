"""The queues of asynchronous endpoints: requests kept until their answers lie in S3.

    InvokeEndpointAsync  ->  a row  ->  called, in order, so many at once for each instance
                                           ->  the answer at the output location, or the reason at
                                               the failure location, if there is one; the row goes

A row outlives the plane: what was waiting, or was under way, when the plane was killed is called by
the next one. So a container may get a request twice, but none is lost. Requests wait while their
endpoint changes; when it is deleted they go with it.
"""

from __future__ import annotations

import base64
import io
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace

from sagelocal.domain.async_inference import AsyncInference, AsyncInvocation
from sagelocal.domain.hosting_reasons import model_error
from sagelocal.domain.models import InvalidModel, s3_location
from sagelocal.domain.names import S3Uri
from sagelocal.engine.endpoint_records import NoSuchEndpoint
from sagelocal.engine.hosting import HostingEngine, NotServing
from sagelocal.engine.invocation import (
    Invocation,
    Limits,
    MissingTargetModel,
    ModelAnswer,
    ModelFault,
)
from sagelocal.store.objects import NoSuchBucket, NoSuchKey, ObjectStore
from sagelocal.store.resources import Resource, Resources

KIND = "async-invocation"
PENDING = "Pending"
# What an answer may have (developer guide: payloads of up to 1 GB).
MOST_BYTES = 1024**3
# Between looks at an endpoint that does not serve at the moment.
WAIT_SECONDS = 0.2

log = logging.getLogger(__name__)


class _Failed(Exception):
    """There will be no answer; the text says why."""


@dataclass
class _Queue:
    """The threads that call one endpoint."""

    size: int
    pool: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self.pool = ThreadPoolExecutor(self.size, thread_name_prefix="async invocation")


class AsyncInvocations:
    """Accepts requests and sees them through. Safe to use from any thread."""

    def __init__(self, resources: Resources, objects: ObjectStore, hosting: HostingEngine) -> None:
        self._resources = resources
        self._objects = objects
        self._hosting = hosting
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._queues: dict[str, _Queue] = {}

    def start(self) -> None:
        """Take up what an earlier plane left."""
        for row in self._resources.with_status(KIND, [PENDING]):
            self._submit(AsyncInvocation(**row.document))

    def close(self) -> None:
        """Call nobody any more; what waits, waits for the next plane."""
        self._closing.set()
        with self._lock:
            queues = list(self._queues.values())
        for queue in queues:
            queue.pool.shutdown(wait=False, cancel_futures=True)

    def accept(self, invocation: AsyncInvocation, region: str) -> None:
        """Keep a request; it is called as soon as there is a place."""
        now = time.time()
        self._resources.add(
            Resource(
                _row_arn(invocation),
                KIND,
                region,
                invocation.id,
                PENDING,
                now,
                now,
                asdict(invocation),
            )
        )
        self._submit(invocation)

    def _submit(self, invocation: AsyncInvocation) -> None:
        with self._lock:
            if self._closing.is_set():
                return
            size = self._places(invocation.endpoint_arn)
            queue = self._queues.get(invocation.endpoint_arn)
            if queue is None or queue.size != size:
                if queue is not None:
                    queue.pool.shutdown(wait=False)
                queue = self._queues[invocation.endpoint_arn] = _Queue(size)
            queue.pool.submit(self._see_through, invocation)

    def _places(self, arn: str) -> int:
        """How many calls of an endpoint run at once."""
        deployment = self._hosting.serving(arn)
        if deployment is None or deployment.asynchronous is None:
            return 1
        each = AsyncInference.of(deployment.asynchronous).concurrency_per_instance
        return each * max(1, len(deployment.instance_ids))

    # Threads

    def _see_through(self, invocation: AsyncInvocation) -> None:
        try:
            self._call_and_store(invocation)
        except Exception:
            # A closing plane takes the database away; the row waits for the next.
            if not self._closing.is_set():
                log.exception("async invocation %s", invocation.id)

    def _call_and_store(self, invocation: AsyncInvocation) -> None:
        try:
            given = self._call(invocation)
        except _Failed as failure:
            if self._closing.is_set():
                return
            log.warning("async invocation %s: %s", invocation.id, failure)
            if invocation.failure:
                self._store(invocation.failure, str(failure).encode(), "text/plain")
        else:
            if given is None:
                return
            content_type = given.answer.headers.get("content-type", "application/octet-stream")
            self._store(invocation.output, given.answer.body, content_type)
        self._resources.delete(_row_arn(invocation))

    def _call(self, invocation: AsyncInvocation) -> ModelAnswer | None:
        """The model's answer; None if nobody wants it any more. Raises _Failed."""
        request: Invocation | None = None
        while not self._closing.is_set():
            if time.time() > invocation.expires_at:
                raise _Failed("The request expired before it was processed (RequestTTLSeconds).")
            if not self._endpoint_exists(invocation):
                self._resources.delete(_row_arn(invocation))
                return None
            request = request or self._request(invocation)
            try:
                return self._hosting.invoke(invocation.endpoint_arn, request, _limits(invocation))
            except NotServing:
                self._closing.wait(WAIT_SECONDS)
            except ModelFault as fault:
                raise _Failed(self._words(invocation, fault)) from fault
            except MissingTargetModel as error:
                raise _Failed(
                    "An asynchronous request cannot name one of many models (TargetModel)."
                ) from error
        return None

    def _endpoint_exists(self, invocation: AsyncInvocation) -> bool:
        try:
            self._hosting.records.get(invocation.endpoint_arn)
        except NoSuchEndpoint:
            return False
        return True

    def _request(self, invocation: AsyncInvocation) -> Invocation:
        """What the container is sent. Raises _Failed for a payload that is not there."""
        given = Invocation(
            body=base64.b64decode(invocation.body or ""),
            content_type=invocation.content_type,
            accept=invocation.accept,
            headers=invocation.headers or {},
        )
        if invocation.input is None:
            return given
        try:
            place = s3_location(invocation.input)
            info, stream = self._objects.read(place.bucket, place.key)
        except (InvalidModel, NoSuchBucket, NoSuchKey) as error:
            raise _Failed(
                f"Failed to download the input from {invocation.input}. Please ensure that there "
                "is an object located at the URL."
            ) from error
        with stream:
            body = stream.read()
        content_type = invocation.content_type or info.description.content_type
        return replace(given, body=body, content_type=content_type)

    def _words(self, invocation: AsyncInvocation, fault: ModelFault) -> str:
        endpoint = self._hosting.records.get(invocation.endpoint_arn)
        account = invocation.endpoint_arn.split(":")[4]
        return model_error(
            fault.label, fault.status, fault.message, endpoint.name, endpoint.region, account
        )

    def _store(self, place: str, content: bytes, content_type: str) -> None:
        uri = S3Uri.parse(place)
        try:
            self._objects.put_stream(
                uri.bucket, uri.key, io.BytesIO(content), content_type=content_type
            )
        except NoSuchBucket:
            log.warning("async invocation: there is no bucket for %s", place)


def _row_arn(invocation: AsyncInvocation) -> str:
    return f"{invocation.endpoint_arn}/{KIND}/{invocation.id}"


def _limits(invocation: AsyncInvocation) -> Limits:
    return Limits(invocation.timeout_seconds, invocation.timeout_seconds, MOST_BYTES)

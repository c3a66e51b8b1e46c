"""Endpoints, made to happen: deployed, updated, deleted, called.

Services write what is wanted into the endpoint's row and then tell the engine, whose workers read
the row, act, and write what came of it:

    Creating  ->  InService, or Failed
    Updating  ->  InService with the pending deployment, or RollingBack and then InService with the
                  active one, which never stopped serving
    Deleting  ->  gone

A deployment with other weights or counts is a pending deployment like any other, which has some
instances in common with the active one. `start` takes up what an earlier plane left in any of these
states, and finds the containers of what is in service again by their handles.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sagelocal.domain.deployments import Deployment, Variant
from sagelocal.domain.endpoints import Endpoint, EndpointStatus
from sagelocal.engine.deployments import (
    RunningDeployment,
    close_all,
    drain_all,
    start_all,
    stop_all,
)
from sagelocal.engine.endpoint_records import EndpointRecords, NoSuchEndpoint
from sagelocal.engine.hosting_tools import Closing, HostingTools
from sagelocal.engine.instance_keeper import Hop, InstanceKeeper, NotRunning, StartFault, Stopped
from sagelocal.engine.invocation import (
    NO_STATUS,
    Invocation,
    Limits,
    MissingTargetModel,
    ModelAnswer,
    ModelFault,
    ModelStream,
    NotMultiModel,
    call_through,
    stream_through,
)
from sagelocal.engine.model_data import ModelDataFault
from sagelocal.runtime.interface import Runtime
from sagelocal.settings import Settings
from sagelocal.store.logs import LogStore
from sagelocal.store.objects import ObjectStore
from sagelocal.store.resources import Resources

CLOSE_TIMEOUT_SECONDS = 5.0
# Between tries to record what became of an endpoint; doubled each time.
FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 60.0

log = logging.getLogger(__name__)


class NotServing(Exception):
    """There is no such endpoint, or nothing is deployed behind it."""


class HostingEngine:
    """Runs endpoints on a runtime. Safe to use from any thread."""

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
        self.records = EndpointRecords(resources)
        self._settings = settings
        self._limits = Limits(
            answer_seconds=settings.invocation_timeout_seconds,
            stream_seconds=settings.stream_timeout_seconds,
            answer_bytes=settings.max_invocation_bytes,
        )
        self._closing = threading.Event()
        self._tools = HostingTools(
            self.records, objects, logs, runtime, settings, folder, self._closing
        )
        self._lock = threading.Lock()
        self._serving: dict[str, RunningDeployment] = {}
        self._keepers: dict[str, InstanceKeeper] = {}
        self._workers: set[threading.Thread] = set()

    def start(self) -> None:
        """Take up every endpoint that an earlier plane left."""
        endpoints = self.records.all()
        self._tools.sweep(endpoints)
        for endpoint in endpoints:
            if endpoint.active and endpoint.status is not EndpointStatus.DELETING:
                self._serve_again(endpoint, endpoint.active)
            if not endpoint.settled:
                self.submit(endpoint.arn)

    def close(self) -> None:
        """Let go of every endpoint; containers go on running for the next plane."""
        self._closing.set()
        with self._lock:
            keepers, workers = list(self._keepers.values()), list(self._workers)
        close_all(keepers)
        for worker in workers:
            worker.join(CLOSE_TIMEOUT_SECONDS)

    def submit(self, arn: str) -> None:
        """Let a worker see an endpoint through, from the state that its row is in."""
        worker = threading.Thread(target=self._work, args=(arn,), name=f"endpoint {arn}")
        worker.daemon = True
        with self._lock:
            if self._closing.is_set():
                return
            self._workers.add(worker)
        worker.start()

    def withdraw(self, arn: str) -> None:
        """Send no more requests to the endpoint, which is to be deleted."""
        self._serving.pop(arn, None)

    def serving(self, arn: str) -> Deployment | None:
        """What an endpoint answers with at the moment; None if it does not, or is not there."""
        running = self._serving.get(arn)
        return running.deployment if running else None

    def invoke(self, arn: str, invocation: Invocation, limits: Limits | None = None) -> ModelAnswer:
        """Have the model answer, within other limits than the settings' if they are given.

        Raises NotServing, NoSuchVariant, NoSuchContainer, ModelFault; and, where there are many
        models or the call thinks so, MissingTargetModel, NotMultiModel, TargetModelFault, NotReady.
        """
        with self._instance(arn, invocation) as (variant, hops):
            return call_through(hops, variant, invocation, limits or self._limits)

    def stream(self, arn: str, invocation: Invocation) -> ModelStream:
        """Have the model answer part by part; the instance is in use until the stream is closed.

        Raises NotServing, NoSuchVariant, NoSuchContainer, ModelFault, MissingTargetModel.
        """
        with ExitStack() as held:
            variant, hops = held.enter_context(self._instance(arn, invocation))
            done = ExitStack()
            stream = stream_through(hops, variant, invocation, self._limits, done.close)
            done.push(held.pop_all())
            return stream

    @contextmanager
    def _instance(
        self, arn: str, invocation: Invocation
    ) -> Iterator[tuple[Variant, Sequence[Hop]]]:
        """The containers of an instance, for one call. Raises as `invoke`."""
        while True:
            serving = self._serving.get(arn)
            if serving is None:
                raise NotServing(arn)
            chosen = serving.pick(invocation.target_variant)
            _check_target_model(chosen.variant, invocation)
            try:
                with chosen.next_keeper(invocation.target_model).serving() as hops:
                    yield chosen.variant, hops
                    return
            except Stopped:
                # Another deployment took its place between the two steps, or the end has come.
                if self._serving.get(arn) is serving:
                    raise NotServing(arn) from None
            except NotRunning as down:
                label = chosen.variant.containers[0].label
                text = f"The model's containers are not running: {down}"
                raise ModelFault(label, NO_STATUS, text, chosen.variant) from down

    # Workers

    def _work(self, arn: str) -> None:
        try:
            self._see_through_at_last(arn)
        finally:
            with self._lock:
                self._workers.discard(threading.current_thread())

    def _see_through_at_last(self, arn: str) -> None:
        """What cannot be recorded (a full disk under the database) is tried until it can be."""
        wait_seconds = FIRST_RETRY_SECONDS
        while not self._closing.is_set():
            try:
                return self._see_through(arn)
            except (Closing, NoSuchEndpoint):
                return None
            except Exception:
                # A closing plane takes the database away from under a long download.
                if not self._closing.is_set():
                    log.exception("endpoint %s: next try in %g s", arn, wait_seconds)
            self._closing.wait(wait_seconds)
            wait_seconds = min(LONGEST_RETRY_SECONDS, wait_seconds * 2)
        return None

    def _see_through(self, arn: str) -> None:
        endpoint = self.records.get(arn)
        if endpoint.status is EndpointStatus.DELETING:
            self._delete(endpoint)
            return
        if endpoint.pending:
            self._deploy(endpoint, endpoint.pending)
        self._retire(arn)
        if self.records.get(arn).status is EndpointStatus.ROLLING_BACK:
            self._change(arn, Endpoint.rolled_back)

    def _deploy(self, endpoint: Endpoint, pending: Deployment) -> None:
        """Put the pending deployment in the place of the active one, or give it up."""
        try:
            running = self._bring_up(endpoint, pending)
        except (ModelDataFault, StartFault) as fault:
            self._tools.check_closing()
            self._give_up(endpoint, str(fault))
        except Exception as error:
            self._tools.check_closing()
            log.exception("endpoint %s", endpoint.arn)
            self._give_up(endpoint, f"Internal failure: {type(error).__name__}: {error}")
        else:
            self._serving[endpoint.arn] = running
            self._change(endpoint.arn, Endpoint.switched)

    def _give_up(self, endpoint: Endpoint, reason: str) -> None:
        creating = endpoint.status is EndpointStatus.CREATING
        end = Endpoint.failed if creating else Endpoint.rolling_back
        self._change(endpoint.arn, lambda each, now: end(each, reason, now))
        log.warning("endpoint %s: %s", endpoint.arn, reason)

    def _bring_up(self, endpoint: Endpoint, deployment: Deployment) -> RunningDeployment:
        """Every instance of the deployment, healthy; those that run already stay as they are."""
        self._tools.stage(endpoint, deployment)
        running, _ = self._running(endpoint, deployment, in_service=False)
        start_all(running.keepers)
        return running

    def _serve_again(self, endpoint: Endpoint, deployment: Deployment) -> None:
        running, keepers = self._running(endpoint, deployment, in_service=True)
        self._serving[endpoint.arn] = running
        for keeper in keepers:
            keeper.start()

    def _running(
        self, endpoint: Endpoint, deployment: Deployment, *, in_service: bool
    ) -> tuple[RunningDeployment, list[InstanceKeeper]]:
        """The deployment with a keeper for each instance, and the keepers that are new."""
        new: list[InstanceKeeper] = []
        keepers: dict[str, list[InstanceKeeper]] = {}
        with self._lock:
            self._tools.check_closing()
            for variant in deployment.variants:
                for instance in variant.instances:
                    keeper = self._keepers.get(instance.id)
                    if keeper is None:
                        keeper = self._tools.keeper(
                            endpoint, deployment, variant, instance, in_service=in_service
                        )
                        self._keepers[instance.id] = keeper
                        new.append(keeper)
                    keepers.setdefault(variant.name, []).append(keeper)
        return RunningDeployment(deployment, keepers), new

    def _retire(self, arn: str) -> None:
        """Stop the instances that no deployment needs any more, and forget their deployments."""
        endpoint = self.records.get(arn)
        needed = endpoint.active.instance_ids if endpoint.active else frozenset()
        gone = endpoint.retired
        keepers = [self._leftover(endpoint, deployment, needed) for deployment in gone]
        surplus = [keeper for some in keepers for keeper in some]
        drain_all(surplus, max(self._limits.answer_seconds, self._limits.stream_seconds))
        self._stop(surplus)
        kept = [endpoint.active.id] if endpoint.active else []
        for deployment in gone:
            self._tools.discard(endpoint, deployment, kept)
        self.records.change(arn, lambda each: each.without_retired(gone))

    def _delete(self, endpoint: Endpoint) -> None:
        keepers = [self._leftover(endpoint, each, frozenset()) for each in endpoint.deployments]
        self._stop([keeper for some in keepers for keeper in some])
        self._tools.discard_all(endpoint)
        self.records.remove(endpoint.arn)
        log.info("endpoint %s: deleted", endpoint.arn)

    def _leftover(
        self, endpoint: Endpoint, deployment: Deployment, needed: Iterable[str]
    ) -> list[InstanceKeeper]:
        """The keepers of the instances of a deployment that are not needed."""
        running, _ = self._running(endpoint, deployment, in_service=True)
        return [keeper for keeper in running.keepers if keeper.id not in set(needed)]

    def _stop(self, keepers: Iterable[InstanceKeeper]) -> None:
        surplus = list(keepers)
        stop_all(surplus)
        self._tools.check_closing()
        with self._lock:
            for keeper in surplus:
                self._keepers.pop(keeper.id, None)

    def _change(self, arn: str, change: Callable[[Endpoint, float], Endpoint]) -> None:
        self._tools.check_closing()
        endpoint = self.records.change(arn, lambda each: change(each, time.time()))
        log.info("endpoint %s: %s", arn, endpoint.status)


def _check_target_model(variant: Variant, invocation: Invocation) -> None:
    if variant.multi_model and invocation.target_model is None:
        raise MissingTargetModel
    if invocation.target_model is not None and not variant.multi_model:
        raise NotMultiModel

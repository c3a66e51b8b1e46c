"""One instance of a variant: its containers started, found healthy, watched, started again.

A keeper is a thread with an inbox, where ends of containers and the wish to stop arrive:

    start the chain (or find it running)  ->  ping until all are healthy  ->  serve
           ^                                                                   |
           '------------------- wait (longer each time) <--- a container ended-'

The first start is the deployment's: if it fails, the keeper gives up and says why. Later, when the
endpoint is in service, it tries for ever, as the cloud does.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from sagelocal.domain.deployments import Instance, Placed
from sagelocal.domain.hosting_reasons import ping_failure
from sagelocal.engine.forwarding import Connections, NoAnswer, TooSlow
from sagelocal.engine.gpus import Gpus
from sagelocal.engine.health import Patience, Problem, delay_after, ping
from sagelocal.engine.loaded_models import LoadedModels
from sagelocal.engine.models_api import ModelsApi
from sagelocal.engine.version_notes import say_version
from sagelocal.runtime.interface import ContainerSpec, Exit, Handle, Runtime, RuntimeFault

FIRST_RESTART_SECONDS = 0.1
LAST_RESTART_SECONDS = 30.0
# How long a request waits for an instance of which the plane, just started, knows nothing yet.
TAKE_UP_SECONDS = 10.0
# Whatever ran this long before it ended starts over with the shortest wait.
STABLE_SECONDS = 60.0

log = logging.getLogger(__name__)


class StartFault(Exception):
    """An instance did not come up; the text is fit for a FailureReason."""


class Stopped(Exception):
    """The instance takes no more requests: another deployment serves, or none."""


class NotRunning(Exception):
    """A container of the instance has ended and is not back yet; the text says how it ended."""


class _Closing(Exception):
    """The plane lets go of the instance; its containers go on running."""


@dataclass(frozen=True)
class Member:
    """One container of the chain, under the name that error messages give it.

    `gpus` are those of its instance. `models` keeps the books of a container with many models, each
    time one is started.
    """

    label: str
    spec: ContainerSpec
    gpus: Gpus
    models: Callable[[ModelsApi], LoadedModels] | None = None


@dataclass(frozen=True)
class Timing:
    """How long things may take, in seconds."""

    ping_timeout: float
    startup_timeout: float
    stop_grace: float


@dataclass(frozen=True)
class Hop:
    """A container that takes requests."""

    label: str
    hostname: str | None
    connections: Connections
    models: LoadedModels | None = None


@dataclass(frozen=True)
class _Ended:
    """The container at `position` of the chain, started the `generation`th time, has ended."""

    generation: int
    position: int
    exit: Exit | None
    error: Exception | None = None


class _Stop:
    """Stop the containers and end."""


class _Close:
    """End, and leave the containers running."""


_Event = _Ended | _Stop | _Close

Record = Callable[[str, int, Placed | None], None]
LogTail = Callable[[int], str]


class InstanceKeeper:
    """Keeps one instance alive. Safe to use from any thread."""

    def __init__(
        self,
        instance: Instance,
        variant_name: str | None,
        members: Sequence[Member],
        *,
        runtime: Runtime,
        timing: Timing,
        record: Record,
        log_tail: LogTail,
        in_service: bool = False,
    ) -> None:
        """`record` notes a container that was started, or is gone.

        `log_tail` gives the last words of the container at a position of the chain.

        `in_service` says that the instance has been healthy in the life of an earlier plane.
        """
        self.id = instance.id
        self.started: Future[None] = Future()
        self._variant_name = variant_name
        self._members = tuple(members)
        self._runtime = runtime
        self._timing = timing
        self._record = record
        self._log_tail = log_tail
        self._handles = [self._handle(placed) for placed in instance.placed]
        self._inbox: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"instance {self.id}", daemon=True)
        self._state = threading.Condition()
        self._hops: tuple[Hop, ...] = ()
        self._in_flight = 0
        self._undecided = in_service
        self._refusing = False
        self._down_because = "the instance has not been started yet"
        self._generation = 0
        if in_service:
            self.started.set_result(None)

    def start(self) -> None:
        """Begin; `started` is done when the instance is healthy, or fails with StartFault."""
        with self._state:
            if self._thread.ident is None:
                self._thread.start()

    @property
    def healthy(self) -> bool:
        return bool(self._hops) and not self._refusing

    @contextmanager
    def serving(self) -> Iterator[tuple[Hop, ...]]:
        """The containers, for one request. Raises Stopped, NotRunning."""
        with self._state:
            if self._undecided:
                self._state.wait_for(lambda: not self._undecided, TAKE_UP_SECONDS)
            if self._refusing:
                raise Stopped
            if not self._hops:
                raise NotRunning(self._down_because)
            hops = self._hops
            self._in_flight += 1
        try:
            yield hops
        finally:
            with self._state:
                self._in_flight -= 1
                if not self._in_flight:
                    self._state.notify_all()

    def refuse(self) -> None:
        """Take no new requests."""
        with self._state:
            self._refusing = True

    def drain(self, timeout_seconds: float) -> None:
        """Take no new requests, and wait for those under way, at most that long."""
        self.refuse()
        with self._state:
            self._state.wait_for(lambda: not self._in_flight, timeout_seconds)

    def ask_to_stop(self) -> None:
        """Take no new requests and stop the containers; `join` waits for it.

        Containers that an earlier plane left are stopped even if the keeper was never started.
        """
        self.refuse()
        self._inbox.put(_Stop())
        self.start()

    def ask_to_close(self) -> None:
        """End and leave the containers running; `join` waits for it."""
        self._inbox.put(_Close())

    def join(self, timeout_seconds: float | None = None) -> None:
        if self._thread.ident is not None:
            self._thread.join(timeout_seconds)

    # The thread

    def _run(self) -> None:
        try:
            self._keep()
        except (Stopped, StartFault) as end:
            self._settle(end if isinstance(end, StartFault) else StartFault("it was stopped"))
            self._stop_containers()
        except _Closing:
            self._settle(StartFault("the control plane is closing"))
        except Exception as error:
            log.exception("instance %s", self.id)
            self._go_down(f"the control plane gave it up: {type(error).__name__}: {error}")
            self._settle(StartFault(f"{type(error).__name__}: {error}"))

    def _settle(self, fault: StartFault | None) -> None:
        if not self.started.done():
            if fault is None:
                self.started.set_result(None)
            else:
                self.started.set_exception(fault)

    def _keep(self) -> None:
        wait_seconds = FIRST_RESTART_SECONDS
        self._next_end(0)
        while True:
            try:
                up_since = time.monotonic()
                self._come_up()
                self._settle(None)
                ended = self._next_end(None)
                reason = self._describe_end(ended)
            except StartFault as fault:
                if not self.started.done():
                    raise
                reason = str(fault)
            self._go_down(reason)
            if time.monotonic() - up_since > STABLE_SECONDS:
                wait_seconds = FIRST_RESTART_SECONDS
            log.warning("instance %s: %s; next start in %g s", self.id, reason, wait_seconds)
            self._stop_containers()
            self._pause(wait_seconds)
            wait_seconds = min(LAST_RESTART_SECONDS, wait_seconds * 2)

    def _come_up(self) -> None:
        """Returns when every container is healthy. Raises StartFault."""
        try:
            adopted = self._adopt()
            if not adopted:
                self._start_afresh()
            started_at = time.monotonic()
            addresses = [self._await_health(p, started_at) for p in range(len(self._members))]
        except RuntimeFault as error:
            raise StartFault(str(error)) from error
        except (OSError, sqlite3.Error) as error:
            # A full disk, no more processes: the next try may find it better.
            raise StartFault(f"{type(error).__name__}: {error}") from error
        self._go_up(addresses)
        log.info("instance %s: %s", self.id, "taken up" if adopted else "healthy")

    def _go_up(self, addresses: Sequence[str]) -> None:
        with self._state:
            self._hops = tuple(
                Hop(
                    member.label,
                    member.spec.hostname,
                    Connections(address),
                    member.models(ModelsApi(address)) if member.models else None,
                )
                for member, address in zip(self._members, addresses, strict=True)
            )
            self._decided()

    def _go_down(self, reason: str) -> None:
        with self._state:
            hops, self._hops = self._hops, ()
            self._down_because = reason
            self._decided()
        for hop in hops:
            hop.connections.close()

    def _decided(self) -> None:
        self._undecided = False
        self._state.notify_all()

    def _adopt(self) -> bool:
        """Whether every container of an earlier plane's start still runs."""
        handles = self._running()
        if len(handles) < len(self._members) or not all(map(self._runtime.address, handles)):
            return False
        self._watch_all()
        return True

    def _start_afresh(self) -> None:
        if self._undecided:
            self._go_down("it was gone when the control plane came back, and is started again")
        self._stop_containers()
        for position, member in enumerate(self._members):
            self._next_end(0)
            member.gpus.require()
            self._runtime.prepare(member.spec.image)
            who = f"instance {self.id}"
            say_version(
                self._runtime, member.spec.image, member.spec.log_path, who, member.gpus.note
            )
            handle = self._runtime.start(member.spec)
            self._handles[position] = handle
            self._record(self.id, position, Placed(handle.runtime, handle.id))
        self._watch_all()

    def _await_health(self, position: int, started_at: float) -> str:
        """The container's address, once it answers /ping. Raises StartFault."""
        member, handle = self._members[position], self._handles[position]
        problem = Problem("it had no address")
        patience = Patience()
        while (elapsed := time.monotonic() - started_at) < self._timing.startup_timeout:
            address = self._runtime.address(handle) if handle else None
            if address is not None:
                found = self._sickness(member, address)
                if found is None:
                    return address
                problem = found
                if patience.is_over(problem):
                    raise StartFault(
                        f"{ping_failure(member.label, self._variant_name)} The container says: "
                        f"{problem.reason}{self._last_words(position)}"
                    )
            if ended := self._next_end(delay_after(elapsed)):
                raise StartFault(self._early_end(ended))
        raise StartFault(
            f"{ping_failure(member.label, self._variant_name)} In "
            f"{self._timing.startup_timeout:g} seconds it never answered 200; at last "
            f"{problem.text}.{self._last_words(position)}"
        )

    def _sickness(self, member: Member, address: str) -> Problem | None:
        """None if the container is healthy: /ping, and where there are many models, their list."""
        problem = ping(address, self._timing.ping_timeout)
        if problem is None and member.models:
            try:
                ModelsApi(address).loaded(self._timing.ping_timeout)
            except (NoAnswer, TooSlow) as error:
                return Problem(f"it did not list its models (GET /models): {error}")
        return problem

    def _early_end(self, ended: _Ended) -> str:
        member = self._members[ended.position]
        return (
            f"{ping_failure(member.label, self._variant_name)} The container "
            f"{_manner(ended)} before it answered." + self._last_words(ended.position)
        )

    def _last_words(self, position: int) -> str:
        words = self._log_tail(position)
        return f" Its log ends: {words}" if words else " Its log is empty."

    def _describe_end(self, ended: _Ended | None) -> str:
        if ended is None:
            return "it ended"
        return f"the container {self._members[ended.position].label} {_manner(ended)}"

    # Containers

    def _handle(self, placed: Placed | None) -> Handle | None:
        """A container that an earlier plane started, if this plane's runtime can reach it."""
        if placed is None:
            return None
        if placed.runtime != self._runtime.name:
            log.warning(
                "instance %s: its container %s was started by the %s runtime and is left to it; "
                "start the plane with --runtime %s to have it stopped",
                *(self.id, placed.id, placed.runtime, placed.runtime),
            )
            return None
        return Handle(placed.runtime, placed.id)

    def _running(self) -> list[Handle]:
        return [handle for handle in self._handles if handle is not None]

    def _watch_all(self) -> None:
        self._generation += 1
        for position, handle in enumerate(self._handles):
            if handle is not None:
                threading.Thread(
                    target=self._watch,
                    args=(self._generation, position, handle),
                    name=f"wait {handle.id}",
                    daemon=True,
                ).start()

    def _watch(self, generation: int, position: int, handle: Handle) -> None:
        try:
            ended = _Ended(generation, position, self._runtime.wait(handle))
        except Exception as error:
            ended = _Ended(generation, position, None, error)
        self._inbox.put(ended)

    def _stop_containers(self) -> None:
        """Stop what runs, all at once, and forget it. Ends of theirs are no news any more."""
        self._generation += 1
        handles = self._running()
        if not handles:
            return
        with ThreadPoolExecutor(len(handles), thread_name_prefix="stop") as pool:
            list(pool.map(self._stop_container, handles))
        for position, handle in enumerate(self._handles):
            if handle is not None:
                self._handles[position] = None
                self._note_gone(position)

    def _note_gone(self, position: int) -> None:
        """Harmless if it fails: whoever asks for the container finds that it is gone."""
        try:
            self._record(self.id, position, None)
        except sqlite3.Error as error:
            log.warning("instance %s: %s", self.id, error)

    def _stop_container(self, handle: Handle) -> None:
        try:
            self._runtime.stop(handle, self._timing.stop_grace)
            self._runtime.remove(handle)
        except RuntimeFault as error:
            log.warning("instance %s: %s was left behind: %s", self.id, handle.id, error)

    # The inbox

    def _next_end(self, timeout_seconds: float | None) -> _Ended | None:
        """The next end of a container that is ours, or None after the timeout.

        Raises Stopped, _Closing.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                event = self._inbox.get(timeout=left)
            except queue.Empty:
                return None
            if isinstance(event, _Stop):
                raise Stopped
            if isinstance(event, _Close):
                raise _Closing
            if event.generation == self._generation:
                return event

    def _pause(self, seconds: float) -> None:
        """Wait that long, unless asked to stop or close. Old ends do not cut it short."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._next_end(left)


def _manner(ended: _Ended) -> str:
    if ended.exit is None:
        return f"cannot be seen any more ({ended.error})"
    if ended.exit.out_of_memory:
        return "was killed because it ran out of memory"
    return f"ended with exit code {ended.exit.code}"

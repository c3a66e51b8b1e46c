"""The one process that knows which models there are, forks their processes and ends them.

It is single-threaded, so that it may fork at any time, and waits for nothing: requests for it, what
processes say of their loading, their ends and the clock are all events of one loop.

    load    fork ── loading ──told it is ready──> READY ──unload──> UNLOADING ──ended──> gone
                       └─ failed, died, or took too much: gone, and whoever asked is told why

A process that dies in service is replaced at once. If its successor cannot load, the model is gone,
and the next to load it learns why.

Memory: models together may take `memory_limit_bytes` (what ending them would free is counted). When
loading one goes beyond it, either this load is refused with 507, so that the platform unloads
what it chooses and tries again, or, with `evict_models`, idle models that were not used for the
longest time are unloaded until it fits.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import socket
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from sagelocal_serve.errors import ModelError, ServeError, describe
from sagelocal_serve.multi_model.addresses import control_address
from sagelocal_serve.multi_model.control import Caller, Document
from sagelocal_serve.multi_model.faults import AlreadyLoaded, ModelNotFound, OutOfMemory
from sagelocal_serve.multi_model.memory import MIB, default_limit
from sagelocal_serve.multi_model.registry import Model, first_to_go
from sagelocal_serve.multi_model.workers import Phase, Worker, Workers
from sagelocal_serve.settings import Settings

log = logging.getLogger("sagelocal_serve")

# How often memory is looked at while something loads.
WATCH_SECONDS = 0.1
# How long a process that was told to end may take until it is gone, beyond its requests.
KILL_SECONDS = 5.0
DEATHS_REMEMBERED = 256
BACKLOG = 256


class Keeper:
    """Runs until the front, the process that speaks HTTP, has ended."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._front = 0
        self._front_status: int | None = None
        self._memory_limit = (settings.models_memory_mb or 0) * MIB or default_limit()
        self._models: dict[str, Workers] = {}
        self._asking: list[Caller] = []
        self._loaders: dict[str, Caller] = {}
        self._unloaders: dict[str, list[Caller]] = {}
        self._deaths: OrderedDict[int, str] = OrderedDict()
        self._mourners: dict[int, list[Caller]] = {}
        self._selector = selectors.DefaultSelector()
        self._control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._alarm, self._bell = socket.socketpair()
        self._operations: dict[str, Callable[[Caller, Document], None]] = {
            "load": self._load,
            "unload": self._unload,
            "list": self._list,
            "describe": self._describe,
            "health": self._health,
            "died": self._died,
        }

    def listen(self) -> None:
        """Let callers connect; they wait until `run` answers them."""
        self._control.bind(str(control_address(self._folder)))
        self._control.listen(BACKLOG)

    def run(self, front: int) -> int:
        """The exit status of the process `front`, once it and all models have ended."""
        self._front = front
        self._bell.setblocking(False)
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, self._on_signal)
        self._watch(self._control, self._accept)
        self._watch(self._alarm, lambda: self._alarm.recv(4096))
        self._reap()
        while self._front_status is None or self._models:
            wait = WATCH_SECONDS if self._is_restless() else None
            for key, _ in self._selector.select(wait):
                key.data()
            self._reap()
            self._look_at_clock()
        return self._front_status

    # Signals and processes

    def _on_signal(self, number: int, frame: object) -> None:
        """The end of the front is the end of all: it finishes what it is on first."""
        if number != signal.SIGCHLD and self._front_status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._front, signal.SIGTERM)

    def _reap(self) -> None:
        while True:
            try:
                process_id, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not process_id:
                return
            code = os.waitstatus_to_exitcode(status)
            if process_id == self._front:
                self._front_ended(code)
            else:
                self._process_ended(process_id, code)

    def _front_ended(self, code: int) -> None:
        self._front_status = code if code >= 0 else 128 - code
        for name in list(self._models):
            self._send_away(name)

    def _process_ended(self, process_id: int, code: int) -> None:
        found = [each for each in self._models.values() if process_id in each.by_process]
        if not found:
            return
        workers = found[0]
        self._read_status(workers, workers.by_process[process_id])
        self._unwatch(workers.by_process[process_id].status)
        worker = workers.forget(process_id)
        how = self._manner(workers, worker, code)
        self._remember(process_id, how)
        if workers.phase is Phase.READY and worker.ready:
            log.error(
                "Process %d of model %s %s; starting another", process_id, workers.model.name, how
            )
            self._fork(workers)
        elif workers.phase is not Phase.LEAVING:
            fault = _fault_of_death(workers.model, how)
            self._give_up(workers, workers.fault or fault)
        if not workers.by_process:
            self._gone(workers)

    def _manner(self, workers: Workers, worker: Worker, code: int) -> str:
        if workers.phase is Phase.LEAVING and workers.fault is None:
            return "unloaded"
        return "killed" if code == -signal.SIGKILL else f"ended with status {code}"

    def _remember(self, process_id: int, how: str) -> None:
        self._deaths[process_id] = how
        while len(self._deaths) > DEATHS_REMEMBERED:
            self._deaths.popitem(last=False)
        for caller in self._mourners.pop(process_id, ()):
            caller.answer({"status": 200, "how": how})

    def _gone(self, workers: Workers) -> None:
        """Nothing of the model is left: its memory is free."""
        name = workers.model.name
        workers.discard()
        del self._models[name]
        log.info("Model %s (%s) is unloaded", name, workers.model.target)
        if loader := self._loaders.pop(name, None):
            loader.refuse(
                workers.fault or AlreadyLoaded(f"Model {name} was unloaded while it was loading.")
            )
        for caller in self._unloaders.pop(name, ()):
            caller.answer({"status": 200})

    # Requests

    def _accept(self) -> None:
        connection, _ = self._control.accept()
        connection.setblocking(False)
        caller = Caller(connection)
        self._asking.append(caller)
        self._watch(connection, lambda: self._hear(caller))

    def _hear(self, caller: Caller) -> None:
        try:
            question = caller.question()
        except (OSError, ValueError):
            self._asking.remove(caller)
            self._unwatch(caller.connection)
            caller.connection.close()
            return
        if question is not None:
            self._asking.remove(caller)
            self._unwatch(caller.connection)
            try:
                self._operations[question["operation"]](caller, question)
            except ServeError as fault:
                caller.refuse(fault)
            except Exception as error:
                log.exception("%s", question)
                caller.refuse(ModelError(f"The keeper of models failed. {describe(error)}"))

    def _load(self, caller: Caller, question: Document) -> None:
        model = Model(question["name"], question["url"], question["target"])
        if model.name in self._models:
            raise AlreadyLoaded.named(model.name)
        if self._front_status is not None:
            raise ModelError("The server is stopping.")
        if not _is_folder(model.url):
            name = Path(model.url).name[:100]
            raise ModelNotFound(f"Model not found: there is no folder {name!r} at the url given.")
        workers = self._models[model.name] = Workers(model, self._folder, self._settings)
        self._loaders[model.name] = caller
        self._fork(workers)

    def _unload(self, caller: Caller, question: Document) -> None:
        name = question["name"]
        workers = self._models.get(name)
        if workers is None or workers.phase is Phase.LEAVING:
            raise ModelNotFound.named(name)
        self._unloaders.setdefault(name, []).append(caller)
        self._send_away(name)

    def _list(self, caller: Caller, question: Document) -> None:
        ready = [each.model for each in self._models.values() if each.phase is Phase.READY]
        caller.answer({"status": 200, "models": {model.name: model.url for model in ready}})

    def _describe(self, caller: Caller, question: Document) -> None:
        workers = self._models.get(question["name"])
        if workers is None or workers.phase is not Phase.READY:
            raise ModelNotFound.named(question["name"])
        caller.answer(
            {
                "status": 200,
                "name": workers.model.name,
                "url": workers.model.url,
                "workers": [
                    {
                        "id": process_id,
                        "status": Phase.READY.value if worker.ready else Phase.LOADING.value,
                    }
                    for process_id, worker in workers.by_process.items()
                ],
                "memory_bytes": workers.private_bytes(),
            }
        )

    def _health(self, caller: Caller, question: Document) -> None:
        served = [each for each in self._models.values() if each.phase is Phase.READY]
        whole = sum(each.is_ready for each in served)
        caller.answer({"status": 200, "models": len(served), "whole": whole})

    def _died(self, caller: Caller, question: Document) -> None:
        """How a process ended, or, if it is about to, once it has."""
        process_id = question["process_id"]
        if how := self._deaths.get(process_id):
            caller.answer({"status": 200, "how": how})
        elif any(process_id in each.by_process for each in self._models.values()):
            self._mourners.setdefault(process_id, []).append(caller)
        else:
            caller.answer({"status": 200, "how": "unknown"})

    # Models

    def _fork(self, workers: Workers) -> None:
        worker = workers.fork(self.release)
        self._watch(worker.status, lambda: self._on_status(workers, worker))

    def release(self) -> None:
        """In a forked process: close what is the keeper's, and other models'."""
        signal.set_wakeup_fd(-1)
        self._selector.close()
        for each in (self._control, self._alarm, self._bell):
            each.close()
        for caller in self._callers():
            caller.connection.close()
        for workers in self._models.values():
            workers.release()

    def _callers(self) -> list[Caller]:
        """Those who are being heard or wait for an answer."""
        lists = [self._asking, *self._unloaders.values(), *self._mourners.values()]
        return [*self._loaders.values(), *(caller for some in lists for caller in some)]

    def _on_status(self, workers: Workers, worker: Worker) -> None:
        if not self._read_status(workers, worker):
            return
        # It says nothing more; its end is told by the system.
        self._unwatch(worker.status)
        count = len(workers.by_process)
        if workers.is_loading and workers.is_ready and count < self._settings.model_workers:
            # One after the other: they install the same packages, and the first may fail.
            self._fork(workers)
        self._look_at_loading()

    def _read_status(self, workers: Workers, worker: Worker) -> bool:
        """Whether it has said how loading went; a failure is remembered for whoever asked."""
        if worker.ready:
            return True
        said = worker.read_status()
        if said is None:
            return False
        loaded, fault = said
        if not loaded and workers.phase is not Phase.LEAVING:
            workers.fault = fault
        return True

    def _give_up(self, workers: Workers, fault: ServeError) -> None:
        """End a model that cannot be loaded."""
        workers.fault = fault
        workers.phase = Phase.LEAVING
        log.error("Model %s is given up: %s", workers.model.name, fault.message)
        workers.turn_away()
        workers.signal(signal.SIGKILL)

    def _send_away(self, name: str) -> None:
        """Let running requests finish, then end; one that still loads ends at once."""
        workers = self._models[name]
        if workers.phase is Phase.LEAVING:
            return
        was_loading = not workers.is_ready
        workers.phase = Phase.LEAVING
        workers.turn_away()
        workers.signal(signal.SIGKILL if was_loading else signal.SIGTERM)
        workers.deadline = time.monotonic() + self._settings.graceful_timeout_seconds

    # The clock

    def _is_restless(self) -> bool:
        return any(each.is_loading or each.deadline is not None for each in self._models.values())

    def _look_at_clock(self) -> None:
        now = time.monotonic()
        for workers in self._models.values():
            if workers.deadline is not None and now > workers.deadline:
                workers.deadline = now + KILL_SECONDS
                workers.signal(signal.SIGKILL)
        self._look_at_loading()

    def _look_at_loading(self) -> None:
        """Put what is loaded into service if it fits; else make room, or give it up."""
        loading = [each for each in self._models.values() if each.is_loading]
        if not loading:
            return
        models = self._models.values()
        if sum(each.most_bytes() for each in models) > self._memory_limit:
            taken = sum(each.private_bytes() for each in models)
            if taken > self._memory_limit:
                self._make_room(loading[-1], taken)
                return
        for workers in loading:
            if workers.is_ready and len(workers.by_process) == self._settings.model_workers:
                workers.phase = Phase.READY
                self._loaders.pop(workers.model.name).answer({"status": 200})

    def _make_room(self, newest: Workers, taken: int) -> None:
        """Unload another model if that is wanted and one is idle; else refuse the newest."""
        if any(each.phase is Phase.LEAVING for each in self._models.values()):
            return  # Room is being made.
        ready = [each for each in self._models.values() if each.phase is Phase.READY]
        name = first_to_go([each.use() for each in ready]) if self._settings.evict_models else None
        if name is None:
            self._give_up(newest, _too_much(newest.model, taken, self._memory_limit))
            return
        log.info("Model %s is unloaded to make room for %s", name, newest.model.name)
        self._send_away(name)

    # The selector

    def _watch(self, source: socket.socket, react: Callable[[], object]) -> None:
        self._selector.register(source, selectors.EVENT_READ, react)

    def _unwatch(self, source: socket.socket) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(source)


def _is_folder(path: str) -> bool:
    try:
        return Path(path).is_dir()
    except OSError:  # a name that is longer than any, or a folder that is not ours to look into
        return False


def _fault_of_death(model: Model, how: str) -> ServeError:
    if how == "killed":
        return OutOfMemory(
            f"The process that loaded model {model.name} was killed, most likely because memory "
            "ended."
        )
    return ModelError(f"The process that loaded model {model.name} {how}.")


def _too_much(model: Model, taken: int, limit: int) -> OutOfMemory:
    return OutOfMemory(
        f"There is too little memory to load model {model.name}: models would take "
        f"{taken // MIB} MiB of {limit // MIB} MiB. Unload others, or raise "
        "MODEL_SERVER_MODELS_MEMORY_IN_MB."
    )

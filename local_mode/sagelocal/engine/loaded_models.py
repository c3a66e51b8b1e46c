"""Which models a multi-model container has in memory, and how a call gets the one it wants.

    called  ->  fetched from S3  ->  POST /models  ->  called as long as it stays
                                        | 507: the container has no room
                                        '->  DELETE of the model not called for longest, try again

A model is loaded when it is called for the first time. Who called waits for it, for as long as a
call may take; it goes on loading after that. What a container has loaded already, in the time of an
earlier plane, is asked of it. Source: developer guide, "Multi-Model Endpoints".
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

from sagelocal.engine.forwarding import NoAnswer, TooSlow
from sagelocal.engine.model_shelf import ModelShelf
from sagelocal.engine.models_api import ModelsAnswer, ModelsApi

HTTP_OK = 200
HTTP_NOT_FOUND = 404
HTTP_CONFLICT = 409
HTTP_INSUFFICIENT_STORAGE = 507

# For what a container answers from memory.
QUICK_SECONDS = 10.0
# How long unloading may take: the container finishes what it is on.
UNLOAD_SECONDS = 60.0

log = logging.getLogger(__name__)


class NotReady(Exception):
    """The model is still being loaded; the text is what clients call it."""


class LoadFault(Exception):
    """The container did not load the model: its status, 0 for none, and its words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass
class _Model:
    """One that is loaded or being loaded; it can be unloaded while `calls` is 0."""

    target: str
    loaded: Future[None] = field(default_factory=Future)
    calls: int = 0
    last_used: float = 0.0

    @property
    def is_loaded(self) -> bool:
        return self.loaded.done() and self.loaded.exception() is None


class LoadedModels:
    """The models of one running container. Safe to use from any thread."""

    def __init__(
        self, shelf: ModelShelf, api: ModelsApi, *, keep: bool, load_timeout_seconds: float
    ) -> None:
        """`keep` says whether a model stays loaded when nobody calls it."""
        self._shelf = shelf
        self._api = api
        self._keep = keep
        self._load_timeout = load_timeout_seconds
        self._changed = threading.Condition()
        self._models: dict[str, _Model] = {}
        # Names of what the container had loaded before this plane, and of what is being unloaded.
        self._found: set[str] | None = None
        self._leaving: set[str] = set()
        self._asking = threading.Lock()
        self._making_room = threading.Lock()

    @contextmanager
    def calling(self, target: str, deadline: float) -> Iterator[str]:
        """The path to POST to while the model is loaded, and stays so until the call is over.

        `deadline` is in the clock of time.monotonic. Raises NotReady, LoadFault, TargetModelFault.
        """
        model = self._take(target)
        try:
            try:
                model.loaded.result(max(0.0, deadline - time.monotonic()))
            except TimeoutError as error:
                raise NotReady(target) from error
            yield f"/models/{ModelShelf.name(target)}/invoke"
        finally:
            self._release(model)

    def recover(self, target: str, status: int) -> bool:
        """Whether a call that the container answered with `status` is worth another try.

        It is when the container had given the model up (404), or when room could be made (507).
        """
        name = ModelShelf.name(target)
        if status == HTTP_INSUFFICIENT_STORAGE:
            return self._make_room(target, time.monotonic() + QUICK_SECONDS)
        if status != HTTP_NOT_FOUND:
            return False
        try:
            if self._api.knows(name, QUICK_SECONDS):
                return False
        except (NoAnswer, TooSlow):
            return False
        with self._changed:
            model = self._models.get(target)
            if model is not None and model.is_loaded:
                del self._models[target]
        return True

    def _take(self, target: str) -> _Model:
        with self._changed:
            model = self._models.get(target)
            if model is None:
                model = self._models[target] = _Model(target)
                threading.Thread(
                    target=self._load, args=(model,), name=f"load {target}", daemon=True
                ).start()
            model.calls += 1
            return model

    def _release(self, model: _Model) -> None:
        with self._changed:
            model.calls -= 1
            model.last_used = time.monotonic()
            self._changed.notify_all()
            done_with = not self._keep and not model.calls and self._give_up(model)
        if done_with:
            threading.Thread(
                target=self._unload, args=(ModelShelf.name(model.target),), daemon=True
            ).start()

    # Loading

    def _load(self, model: _Model) -> None:
        try:
            self._bring_in(model.target, time.monotonic() + self._load_timeout)
        except BaseException as fault:
            with self._changed:
                if self._models.get(model.target) is model:
                    del self._models[model.target]
                model.loaded.set_exception(fault)
                self._changed.notify_all()
        else:
            with self._changed:
                model.last_used = time.monotonic()
                model.loaded.set_result(None)
                self._changed.notify_all()

    def _bring_in(self, target: str, deadline: float) -> None:
        name = ModelShelf.name(target)
        with self._changed:
            self._changed.wait_for(lambda: name not in self._leaving, UNLOAD_SECONDS)
        if self._was_found(name):
            return
        self._shelf.fetch(target)
        while True:
            answer = self._post(target, deadline)
            if answer.status in (HTTP_OK, HTTP_CONFLICT):
                log.info("model %s: loaded as %s", target, name)
                return
            if answer.status != HTTP_INSUFFICIENT_STORAGE or not self._make_room(target, deadline):
                raise LoadFault(answer.status, answer.body.decode("utf-8", "replace"))

    def _post(self, target: str, deadline: float) -> ModelsAnswer:
        left = max(0.001, deadline - time.monotonic())
        try:
            return self._api.load(ModelShelf.name(target), ModelShelf.url(target), target, left)
        except TooSlow as error:
            raise LoadFault(
                0, f"The model {target} was not loaded within {self._load_timeout:g} seconds."
            ) from error
        except NoAnswer as error:
            raise LoadFault(
                0,
                f"The container closed the connection while it loaded the model {target}: {error}",
            ) from error

    def _was_found(self, name: str) -> bool:
        """Whether the container has had the model loaded since an earlier plane."""
        with self._asking:
            if self._found is None:
                self._found = self._ask()
        with self._changed:
            is_there = name in self._found
            self._found.discard(name)
            return is_there

    def _ask(self) -> set[str]:
        try:
            return set(self._api.loaded(QUICK_SECONDS))
        except (NoAnswer, TooSlow) as error:
            raise LoadFault(0, f"The container does not say what it has: {error}") from error

    # Unloading

    def _make_room(self, target: str, deadline: float) -> bool:
        """Unload another model than `target`, waiting for one to be idle; False if there is none.

        One at a time: two loads that lack room would else unload twice as much.
        """
        with self._making_room:
            with self._changed:
                while True:
                    others = [m for m in self._models.values() if m.target != target]
                    if self._found:
                        name = self._found.pop()
                        self._leaving.add(name)
                        break
                    idle = [m for m in others if m.is_loaded and not m.calls]
                    if idle:
                        model = min(idle, key=lambda each: each.last_used)
                        self._give_up(model)
                        name = ModelShelf.name(model.target)
                        break
                    left = deadline - time.monotonic()
                    if not any(m.is_loaded for m in others) or left <= 0:
                        return False
                    self._changed.wait(left)
            self._unload(name)
            return True

    def _give_up(self, model: _Model) -> bool:
        """Have the next call load the model anew; whether there was anything to unload."""
        if not model.is_loaded or self._models.get(model.target) is not model:
            return False
        del self._models[model.target]
        self._leaving.add(ModelShelf.name(model.target))
        return True

    def _unload(self, name: str) -> None:
        try:
            self._api.unload(name, UNLOAD_SECONDS)
            log.info("model %s: unloaded", name)
        except (NoAnswer, TooSlow) as error:
            log.warning("model %s: could not be unloaded: %s", name, error)
        finally:
            with self._changed:
                self._leaving.discard(name)
                self._changed.notify_all()

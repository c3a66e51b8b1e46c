"""Micro-batching: requests that are there at the same time become one prediction.

A prediction for many rows often costs little more than one for a single row. With batching, the
first request to come waits for others, at most `max_delay_milliseconds` and never once
`max_batch_size` are there, predicts for all, and each takes its own part. While the model is busy
the next batch gathers, so that even without a delay requests are joined as soon as they queue.

    batcher = Batcher(predict_all, max_batch_size=16, max_delay_milliseconds=2)
    batcher.predict(rows)       from any thread; the part of the answer that belongs to `rows`

An error stays with the request it belongs to: when a batch fails, each of its requests is
predicted on its own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar, runtime_checkable

from sagelocal_serve.errors import ModelError
from sagelocal_serve.settings import Settings

log = logging.getLogger("sagelocal_serve")

Data = TypeVar("Data")
Predictions = TypeVar("Predictions")


@dataclass(frozen=True, slots=True)
class Batching:
    """How requests are joined; a size of 1 means that they are not."""

    max_batch_size: int = 1
    max_delay_milliseconds: float = 0.0


@runtime_checkable
class Batchable(Protocol):
    """A handler that can join requests: `handle` is then called from so many threads at once."""

    @property
    def batching(self) -> Batching: ...

    def use_batching(self, batching: Batching) -> None: ...


def batching_of(handler: object, settings: Settings) -> Batching:
    """How a handler joins requests, once it was told what the settings say."""
    if not isinstance(handler, Batchable):
        return Batching()
    size, delay = settings.max_batch_size, settings.max_delay_milliseconds
    wanted = handler.batching
    if size is not None:
        wanted = replace(wanted, max_batch_size=size)
    if delay is not None:
        wanted = replace(wanted, max_delay_milliseconds=delay)
    if wanted != handler.batching:
        handler.use_batching(wanted)
    return handler.batching


class _Entry(Generic[Data, Predictions]):
    """One request's part in a batch; `called` is set when it is over, or when it is to lead."""

    __slots__ = ("called", "data", "is_over", "outcome")

    def __init__(self, data: Data) -> None:
        self.data = data
        self.called = threading.Event()
        self.is_over = False
        self.outcome: Predictions | BaseException | None = None

    def end(self, outcome: Predictions | BaseException) -> None:
        self.outcome = outcome
        self.is_over = True
        self.called.set()


class Batcher(Generic[Data, Predictions]):
    """Joins what several threads want to have predicted; one prediction at a time."""

    def __init__(
        self, predict_all: Callable[[list[Data]], list[Predictions]], batching: Batching
    ) -> None:
        """`predict_all` gets one to `max_batch_size` requests' data, answers in the same order."""
        self._predict_all = predict_all
        self._size = batching.max_batch_size
        self._delay_seconds = batching.max_delay_milliseconds / 1000
        self._waiting: list[_Entry[Data, Predictions]] = []
        self._has_leader = False
        self._changed = threading.Condition()

    def predict(self, data: Data) -> Predictions:
        """The prediction for this data; raises what the model raises for it alone."""
        entry: _Entry[Data, Predictions] = _Entry(data)
        with self._changed:
            self._waiting.append(entry)
            leads, self._has_leader = not self._has_leader, True
            self._changed.notify()
        if not leads:
            entry.called.wait()
        if not entry.is_over:
            self._lead(entry)
        if isinstance(entry.outcome, BaseException):
            raise entry.outcome
        return entry.outcome  # type: ignore[return-value]  # it is over, so there is one

    def _lead(self, first: _Entry[Data, Predictions]) -> None:
        """Predict for a batch, and call whoever leads the next one."""
        try:
            self._serve(self._gather(first))
        finally:
            with self._changed:
                self._has_leader = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].called.set()

    def _gather(self, first: _Entry[Data, Predictions]) -> list[_Entry[Data, Predictions]]:
        """The batch that a request leads: itself and those that come in time."""
        deadline = time.monotonic() + self._delay_seconds
        with self._changed:
            while len(self._waiting) < self._size and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            others = [entry for entry in self._waiting if entry is not first]
            self._waiting = others[self._size - 1 :]
            return [first, *others[: self._size - 1]]

    def _serve(self, batch: list[_Entry[Data, Predictions]]) -> None:
        try:
            found = self._predict_all([entry.data for entry in batch])
            if len(found) != len(batch):
                raise ModelError(f"{len(batch)} requests were joined and split into {len(found)}.")
        except BaseException as error:  # whatever it is, nobody may wait for ever
            if len(batch) == 1:
                batch[0].end(error)
                return
            log.debug("A batch of %d failed; each is tried alone", len(batch), exc_info=error)
            for entry in batch:
                self._serve([entry])
            return
        for entry, part in zip(batch, found, strict=True):
            entry.end(part)

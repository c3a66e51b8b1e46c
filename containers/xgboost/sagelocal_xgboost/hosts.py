"""Several hosts as one: XGBoost's own collective, with a tracker on the first host.

Every host brings the rows that it has. First all tell each other who has any, then those that have
train one model together; the first of them saves it. A host without rows is done, and one that
cannot read its data lets the others know, so that nobody waits for it.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import xgboost
from sagelocal_train import hosts
from sagelocal_train.config import Resources
from sagelocal_train.errors import AlgorithmError, PlatformError
from xgboost import collective
from xgboost.tracker import RabitTracker

logger = logging.getLogger(__name__)

PORT = 9099
"""The port of the original's tracker; the training itself uses the next one."""

_TRIES = 30


@dataclass(frozen=True, slots=True)
class Holding:
    """What one host has: rows to train on, rows to measure by, or an error that ends the job."""

    host: str
    rows: int = 0
    validation_rows: int = 0
    width: int = 0
    failed: bool = False


def holdings(resources: Resources, own: Holding) -> list[Holding]:
    """What every host of the job has, in their order; raises PlatformError if one failed."""
    hosts.wait_until_resolvable(resources.hosts)
    everyone = sorted(resources.hosts)
    with _collective(everyone, own.host, PORT):
        found = [
            _told(own if name == own.host else None, number) for number, name in enumerate(everyone)
        ]
    failed = [holding.host for holding in found if holding.failed and holding.host != own.host]
    if failed:
        raise PlatformError(f"The host {failed[0]!r} of this job failed; its own log says why")
    return found


@contextmanager
def together(names: Sequence[str], own: str) -> Iterator[None]:
    """Train with these hosts, this one among them, for as long as the context lasts."""
    if len(names) == 1:
        yield
        return
    with _collective(names, own, PORT + 1):
        yield


@contextmanager
def _collective(names: Sequence[str], own: str, port: int) -> Iterator[None]:
    """Join the group of these hosts; ranks are their order. Raises PlatformError."""
    first = names[0]
    tracker = _tracker(names, port) if own == first else None
    try:
        with collective.CommunicatorContext(
            dmlc_communicator="rabit",
            dmlc_tracker_uri=first,
            dmlc_tracker_port=port,
            # Ranks are sorted by this text.
            dmlc_task_id=f"{names.index(own):06d}",
            dmlc_retry=_TRIES,
        ):
            logger.info("Host %s is number %d of %d", own, collective.get_rank(), len(names))
            yield
    except xgboost.core.XGBoostError as error:
        raise PlatformError(
            f"The hosts {', '.join(names)} of this job cannot talk to each other, or one of them "
            f"has gone: its own log says why ({str(error).splitlines()[0]})"
        ) from error
    if tracker is not None:
        tracker.wait_for()


def _tracker(names: Sequence[str], port: int) -> RabitTracker:
    """The first host's, which the others join; raises PlatformError."""
    address = socket.gethostbyname(names[0])
    try:
        tracker = RabitTracker(len(names), address, port, sortby="task")
        tracker.start()
    except xgboost.core.XGBoostError as error:
        raise PlatformError(
            f"Port {port} of {names[0]!r} ({address}), where the hosts of this job meet, cannot be "
            f"listened on; end what uses it ({str(error).splitlines()[0]})"
        ) from error
    return tracker


def _told(own: Holding | None, number: int) -> Holding:
    """What the host of this number says, which is this one where `own` is given."""
    said = collective.broadcast(own, number)
    if not isinstance(said, Holding):
        raise PlatformError(f"Host number {number} of this job says {said!r}, not what it holds")
    return said


def with_rows(found: Sequence[Holding]) -> list[str]:
    """The hosts that train; raises AlgorithmError if none has rows."""
    names = [holding.host for holding in found if holding.rows]
    if not names:
        raise AlgorithmError("No hosts received training data.")
    return names

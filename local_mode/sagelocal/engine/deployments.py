"""A deployment that runs: the keepers of its instances, by variant, and which of them is next."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from dataclasses import dataclass, field

from sagelocal.domain.deployments import Deployment, Variant, choose
from sagelocal.engine.instance_keeper import InstanceKeeper, StartFault

# The plane is not kept from closing by a ping under way.
CLOSE_TIMEOUT_SECONDS = 3.0


class NoSuchVariant(Exception):
    """The endpoint has no variant of that name."""


@dataclass(frozen=True)
class RunningVariant:
    """A variant and the keepers of its instances."""

    variant: Variant
    keepers: tuple[InstanceKeeper, ...]
    _turn: Iterator[int] = field(default_factory=itertools.count, repr=False, compare=False)

    def next_keeper(self, target_model: str | None = None) -> InstanceKeeper:
        """The healthy instances in turn; an unhealthy one only if there is no other.

        Calls of one of many models go to the same instance as long as it is healthy, so that the
        model is in memory once, and models are spread over the instances.
        """
        candidates = [each for each in self.keepers if each.healthy] or self.keepers
        if target_model is not None:
            return max(candidates, key=lambda each: _affinity(each.id, target_model))
        return candidates[next(self._turn) % len(candidates)]


class RunningDeployment:
    """The instances of one deployment. Safe to use from any thread."""

    def __init__(
        self, deployment: Deployment, keepers: Mapping[str, Sequence[InstanceKeeper]]
    ) -> None:
        """`keepers` by variant name."""
        self.deployment = deployment
        self._variants = tuple(
            RunningVariant(variant, tuple(keepers[variant.name])) for variant in deployment.variants
        )
        self._weights = [variant.weight for variant in deployment.variants]

    @property
    def keepers(self) -> tuple[InstanceKeeper, ...]:
        return tuple(keeper for each in self._variants for keeper in each.keepers)

    def pick(self, variant_name: str | None) -> RunningVariant:
        """The named variant, or one by weight. Raises NoSuchVariant."""
        if variant_name is None:
            return self._variants[choose(self._weights, random.random())]
        for each in self._variants:
            if each.variant.name == variant_name:
                return each
        raise NoSuchVariant(variant_name)


def start_all(keepers: Sequence[InstanceKeeper]) -> None:
    """Start those that are not; returns when all have been healthy.

    Raises StartFault as soon as one fails, or if one has failed before.
    """
    for keeper in keepers:
        keeper.start()
    done, _ = wait([keeper.started for keeper in keepers], return_when=FIRST_EXCEPTION)
    for future in done:
        if isinstance(fault := future.exception(), StartFault):
            raise fault


def stop_all(keepers: Sequence[InstanceKeeper]) -> None:
    """Stop them at once; returns when all are gone."""
    for keeper in keepers:
        keeper.ask_to_stop()
    for keeper in keepers:
        keeper.join()


def drain_all(keepers: Sequence[InstanceKeeper], timeout_seconds: float) -> None:
    """Returns when no request is under way in any of them, or after the timeout for each."""
    for keeper in keepers:
        keeper.refuse()
    for keeper in keepers:
        keeper.drain(timeout_seconds)


def close_all(keepers: Sequence[InstanceKeeper]) -> None:
    """Let go of them; their containers go on running."""
    for keeper in keepers:
        keeper.ask_to_close()
    for keeper in keepers:
        keeper.join(CLOSE_TIMEOUT_SECONDS)


def _affinity(instance_id: str, target_model: str) -> bytes:
    """Highest random weight: when an instance comes or goes, only its own models move."""
    return hashlib.sha256(f"{instance_id}/{target_model}".encode()).digest()

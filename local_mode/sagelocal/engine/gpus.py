"""The GPUs that a container gets, and what is said where its instance type has more."""

from __future__ import annotations

from dataclasses import dataclass

from sagelocal.domain.instances import instance
from sagelocal.runtime.interface import Runtime, RuntimeFault
from sagelocal.settings import Settings


class NoGpus(RuntimeFault):
    """GPUs are required and there are none to give."""


@dataclass(frozen=True)
class Gpus:
    """What an instance type has, and how many of them this machine gives a container.

    `wanted` is within the settings' own bound: who set that needs no line about it.
    """

    instance_type: str
    wanted: int
    given: int
    runtime: str
    required: bool = False

    @property
    def note(self) -> str | None:
        """A line for the log, where the container gets fewer than its instance type has."""
        if self.given >= self.wanted:
            return None
        instead = f"it gets {self.given}" if self.given else "it runs on processors"
        return f"{self._shortage}; {instead} (SAGELOCAL_GPUS=required refuses this)"

    def require(self) -> None:
        """Raise NoGpus if there are none and the settings want them."""
        if self.required and self.wanted and not self.given:
            raise NoGpus(
                f"{self._shortage}, and SAGELOCAL_GPUS=required was set. Use an instance type "
                "without GPUs, a machine that has some, or SAGELOCAL_GPUS=available, with which "
                "it runs on processors"
            )

    @property
    def _shortage(self) -> str:
        return (
            f"{self.instance_type} has {self.wanted} GPU{'s' if self.wanted > 1 else ''}, and the "
            f"{self.runtime} runtime of this machine can give {self.given or 'none'} to a container"
        )


def gpus_of(instance_type: str, settings: Settings, runtime: Runtime) -> Gpus:
    """For one instance of the type; '' is a container without one (serverless)."""
    wanted = instance(instance_type).gpus if instance_type else 0
    if settings.max_gpus is not None:
        wanted = min(wanted, settings.max_gpus)
    given = min(wanted, runtime.gpus) if wanted else 0
    return Gpus(instance_type, wanted, given, runtime.name, settings.gpus == "required")

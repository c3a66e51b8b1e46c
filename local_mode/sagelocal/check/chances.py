"""Whether a run has had the chance that another had, however busy the machine is meanwhile.

A run that has the machine to itself is ready after some seconds, and has used the processors for
some. Another run, among others, takes longer by the clock. That it will not be ready is clear once
it has done more work than the first, or has stopped working.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# What is no more than a server that is asked now and then, and far less than a process that has to
# share two processors with a dozen others.
_IDLE_SHARE = 0.1
_IDLE_SECONDS = 3.0
_MORE_WORK = 2.0
_MORE_SECONDS = 8.0  # where the engine does not say how much work was done


@dataclass
class Chance:
    """What it took the first run: seconds by the clock, and of processors, None if unknown."""

    seconds: float
    cpu_seconds: float | None
    _quiet: tuple[float, float] = field(default=(0.0, 0.0), init=False)  # since when, and at what

    def was_had(self, elapsed: float, cpu_seconds: float | None) -> bool:
        """Whether the other run would be ready by now if it ever were; both since its start."""
        if self.cpu_seconds is None or cpu_seconds is None:
            return elapsed > 2 * self.seconds + _MORE_SECONDS
        since, at = self._quiet
        if cpu_seconds - at > _IDLE_SHARE * max(elapsed - since, _IDLE_SECONDS):
            since, at = self._quiet = elapsed, cpu_seconds
        is_idle = elapsed - since >= _IDLE_SECONDS
        has_worked = cpu_seconds > _MORE_WORK * self.cpu_seconds
        return elapsed > self.seconds and (is_idle or has_worked)

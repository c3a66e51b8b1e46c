"""The job's log while it trains: lines that people know from this algorithm.

    ##### Alpha: 0.0490  Progress: 2.00%  Million Words/sec: 2.12 #####
    -------------- End of epoch: 9

They are printed as they are, without a prefix, as the original's native part does.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

_STEP_PERCENT = 5.0
_ALL_PERCENT = 100.0


def say(line: str = "") -> None:
    """One line of the log, at once."""
    print(line, flush=True)


@dataclass(slots=True)
class Meter:
    """Says how far the training is, about every twentieth of it."""

    started: float = field(default_factory=time.monotonic)
    _next_percent: float = 0.0

    @property
    def seconds(self) -> float:
        """Since the training began."""
        return max(time.monotonic() - self.started, 1e-9)

    def at(self, rate: float, share: float, words: float) -> None:
        """`share` of all is done, from 0 to 1; `words` were read so far."""
        percent = 100 * share
        if not self._next_percent <= percent < _ALL_PERCENT:
            return
        self._next_percent = percent + _STEP_PERCENT
        self._say(rate, percent, words)

    def _say(self, rate: float, percent: float, words: float) -> None:
        say(
            f"##### Alpha: {max(rate, 0.0):.4f}  Progress: {percent:.2f}%  "
            f"Million Words/sec: {words / self.seconds / 1e6:.2f} #####"
        )

    def over(self, words: float) -> None:
        """The training is over; `words` were read in all its epochs together."""
        self._say(0.0, _ALL_PERCENT, words)
        say("Training finished.")
        say(f"Average throughput in Million words/sec: {words / self.seconds / 1e6:.2f}")
        say(f"Total training time in seconds: {self.seconds:.2f}")
        say()

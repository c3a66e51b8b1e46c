"""Stochastic optimisers over many candidate models at once.

A parameter is an array whose last axis runs over candidates (times outputs); learning rates come
as a row along that axis. `step` says how far to go for one gradient and returns, next to the
movement, the step size per coordinate: l1 needs it to shrink weights in the same metric.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Optimizer(Protocol):
    """The state of one parameter's optimisation."""

    def step(self, gradient: Floats, rates: Floats) -> tuple[Floats, Floats]:
        """The movement to subtract from the parameter, and the step size per coordinate."""
        ...


@dataclass(slots=True)
class Sgd:
    """Gradient descent with momentum."""

    momentum: float
    _velocity: Floats | None = None

    def step(self, gradient: Floats, rates: Floats) -> tuple[Floats, Floats]:
        if self.momentum == 0:
            return gradient * rates, rates
        if self._velocity is None:
            self._velocity = np.zeros_like(gradient)
        self._velocity *= np.float32(self.momentum)
        self._velocity += gradient * rates
        return self._velocity, rates


@dataclass(slots=True)
class Adam:
    """Kingma and Ba's Adam, with corrected moments."""

    beta_1: float
    beta_2: float
    epsilon: float = 1e-8
    _moments: list[Floats] = field(default_factory=list)
    _steps: int = 0

    def step(self, gradient: Floats, rates: Floats) -> tuple[Floats, Floats]:
        if not self._moments:
            self._moments = [np.zeros_like(gradient), np.zeros_like(gradient)]
        mean, square = self._moments
        self._steps += 1
        mean += np.float32(1 - self.beta_1) * (gradient - mean)
        square += np.float32(1 - self.beta_2) * (np.square(gradient) - square)
        mean_correction = 1 - self.beta_1**self._steps
        square_correction = 1 - self.beta_2**self._steps
        spread = np.sqrt(square / np.float32(square_correction)) + np.float32(self.epsilon)
        size = rates / (np.float32(mean_correction) * spread)
        return size * mean, size


@dataclass(slots=True)
class RmsProp:
    """Tieleman and Hinton's RMSProp; the decay is Adam's second moment's."""

    decay: float
    momentum: float
    epsilon: float = 1e-8
    _state: list[Floats] = field(default_factory=list)

    def step(self, gradient: Floats, rates: Floats) -> tuple[Floats, Floats]:
        if not self._state:
            # The first square stands for those before it: without it the first step is huge.
            self._state = [np.square(gradient), np.zeros_like(gradient)]
        square, velocity = self._state
        square += np.float32(1 - self.decay) * (np.square(gradient) - square)
        spread: Floats = np.sqrt(square)
        spread += np.float32(self.epsilon)
        size = rates / spread
        velocity *= np.float32(self.momentum)
        velocity += size * gradient
        return velocity, size

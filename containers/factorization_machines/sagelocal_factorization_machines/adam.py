"""Adam on the rows of a matrix that a batch touches (Kingma and Ba, 2014), as MXNet does it lazily:
rows of features that are not in a batch are left as they are, moments and decay included."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from sagelocal_factorization_machines.compiled import Kernel
from sagelocal_factorization_machines.tables import Floats, Indices

_FIRST, _SECOND = 0.9, 0.999


@dataclass(slots=True)
class Adam:
    """Changes `values` (rows, numbers) in place; in numpy where there is no kernel."""

    values: Floats
    rate: float
    decay: float
    epsilon: float
    clip: float | None
    kernel: Kernel | None = None
    _mean: Floats = field(init=False)
    _square: Floats = field(init=False)
    _steps: int = 0

    def __post_init__(self) -> None:
        self._mean = np.zeros_like(self.values)
        self._square = np.zeros_like(self.values)

    def step(self, rows: Indices, gradients: Floats) -> None:
        """One step of these rows, each named once."""
        self._steps += 1
        rate = self.rate * math.sqrt(1 - _SECOND**self._steps) / (1 - _FIRST**self._steps)
        if self.kernel is not None:
            self.kernel.adam(
                rows,
                gradients,
                (self.values, self._mean, self._square),
                rate=rate,
                decay=self.decay,
                epsilon=self.epsilon,
                limit=self.clip,
                momenta=(_FIRST, _SECOND),
            )
            return
        if self.clip is not None:
            gradients = np.clip(gradients, -self.clip, self.clip)
        gradients = gradients + np.float32(self.decay) * self.values[rows]
        mean = np.float32(_FIRST) * self._mean[rows] + np.float32(1 - _FIRST) * gradients
        square = np.float32(_SECOND) * self._square[rows]
        square += np.float32(1 - _SECOND) * np.square(gradients)
        self._mean[rows], self._square[rows] = mean, square
        self.values[rows] -= np.float32(rate) * mean / (np.sqrt(square) + np.float32(self.epsilon))

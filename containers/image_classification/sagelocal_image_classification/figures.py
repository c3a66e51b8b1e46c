"""How often a network is right, over the batches of an epoch."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_THRESHOLD = 0.5


@dataclass(slots=True)
class Figures:
    """Counts what was right. With several labels each 0 or 1 of an image counts by itself."""

    multi_label: bool
    top_k: int | None = None
    _counted: int = 0
    _right: int = 0
    _near: int = 0
    is_finite: bool = field(default=True)

    def add(self, probabilities: Floats, labels: Floats) -> None:
        """A batch: a row of probabilities for each image, and its label."""
        self.is_finite = self.is_finite and bool(np.isfinite(probabilities).all())
        if self.multi_label:
            right = (probabilities > _THRESHOLD) == (labels.reshape(probabilities.shape) > 0)
            self._right += int(right.sum())
            self._counted += right.size
            return
        classes = labels.reshape(-1).astype(np.int64)
        self._right += int((probabilities.argmax(axis=1) == classes).sum())
        self._counted += len(classes)
        if self.top_k is not None:
            nearest = np.argpartition(-probabilities, self.top_k - 1, axis=1)[:, : self.top_k]
            self._near += int((nearest == classes[:, None]).any(axis=1).sum())

    @property
    def counts(self) -> NDArray[np.int64]:
        """What was counted, as numbers to be summed over hosts."""
        return np.array([self._counted, self._right, self._near], np.int64)

    @counts.setter
    def counts(self, counts: NDArray[np.int64]) -> None:
        self._counted, self._right, self._near = (int(each) for each in counts)

    @property
    def accuracy(self) -> float:
        """The share that was right."""
        return self._right / max(self._counted, 1)

    def named(self) -> dict[str, float]:
        """All figures by the names that the log has."""
        figures = {"accuracy": self.accuracy}
        if self.top_k is not None and not self.multi_label:
            figures[f"top_k_accuracy_{self.top_k}"] = self._near / max(self._counted, 1)
        return figures

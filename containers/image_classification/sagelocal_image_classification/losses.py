"""Scores to probabilities, and how the loss changes with each score.

One class: softmax and cross-entropy. Several: a sigmoid for each class and the mean of their
cross-entropies, in which `use_weighted_loss` gives the images that have a class as much weight as
those that have it not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mxnet as mx
import numpy as np
from numpy.typing import NDArray

_MOST_WEIGHT = 100.0


@dataclass(frozen=True, slots=True)
class Loss:
    """The loss of a job; `weights` has the weight of a 1 for each class."""

    num_classes: int
    multi_label: bool = False
    weights: NDArray[np.float32] | None = None

    def probabilities(self, scores: Any) -> Any:
        """What the network answers with."""
        return mx.nd.sigmoid(scores) if self.multi_label else mx.nd.softmax(scores)

    def gradient(self, probabilities: Any, labels: Any) -> Any:
        """The derivative by the scores, of the sum over the batch."""
        if not self.multi_label:
            return probabilities - mx.nd.one_hot(labels.reshape((-1,)), self.num_classes)
        wanted = labels.reshape(probabilities.shape)
        difference = (probabilities - wanted) / self.num_classes
        if self.weights is None:
            return difference
        return difference * (1 + wanted * (mx.nd.array(self.weights).reshape((1, -1)) - 1))


def weights_of(label_sums: NDArray[np.float64], images: int) -> NDArray[np.float32]:
    """The weight of a 1 for each class: images without it for every one with it, 100 at most."""
    without = images - label_sums
    ratios = np.divide(without, label_sums, out=np.ones(len(label_sums)), where=label_sums > 0)
    return np.clip(ratios, 1 / _MOST_WEIGHT, _MOST_WEIGHT).astype(np.float32)

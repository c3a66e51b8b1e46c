"""The losses: one number per row and candidate, and its derivative by the candidate's output.

    Loss.values(outputs, targets)     -> rows x candidates
    Loss.gradient(outputs, targets)   -> the shape of outputs

Outputs are rows x candidates, for softmax rows x candidates x classes. Targets are a column: the
(scaled) label for regression, -1 or +1 for binary classification, the class number for softmax.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Targets = NDArray[np.float32]


class Loss(Protocol):
    """How wrong an output is."""

    #: The name that log lines and metrics use, without "_objective".
    metric: ClassVar[str]

    #: values(k * outputs, k * targets) is k to this power as large, if its parameters scale along.
    degree: ClassVar[int]

    def values(self, outputs: Floats, targets: Targets) -> Floats: ...

    def gradient(self, outputs: Floats, targets: Targets) -> Floats: ...


@dataclass(frozen=True, slots=True)
class Squared:
    """The square of the error, not halved: its mean is the MSE."""

    metric: ClassVar[str] = "mse"
    degree: ClassVar[int] = 2

    def values(self, outputs: Floats, targets: Targets) -> Floats:
        loss: Floats = np.square(outputs - targets)
        return loss

    def gradient(self, outputs: Floats, targets: Targets) -> Floats:
        return 2 * (outputs - targets)


@dataclass(frozen=True, slots=True)
class Absolute:
    """The size of the error."""

    metric: ClassVar[str] = "absolute_loss"
    degree: ClassVar[int] = 1

    def values(self, outputs: Floats, targets: Targets) -> Floats:
        loss: Floats = np.abs(outputs - targets)
        return loss

    def gradient(self, outputs: Floats, targets: Targets) -> Floats:
        slope: Floats = np.sign(outputs - targets)
        return slope


@dataclass(frozen=True, slots=True)
class EpsilonInsensitiveSquared:
    """The square of what the error exceeds `insensitivity` by."""

    insensitivity: float
    metric: ClassVar[str] = "eps_insensitive_squared_loss"
    degree: ClassVar[int] = 2

    def values(self, outputs: Floats, targets: Targets) -> Floats:
        return np.square(_excess(outputs - targets, self.insensitivity))

    def gradient(self, outputs: Floats, targets: Targets) -> Floats:
        error = outputs - targets
        slope: Floats = 2 * np.sign(error) * _excess(error, self.insensitivity)
        return slope


@dataclass(frozen=True, slots=True)
class EpsilonInsensitiveAbsolute:
    """What the error exceeds `insensitivity` by."""

    insensitivity: float
    metric: ClassVar[str] = "eps_insensitive_absolute_loss"
    degree: ClassVar[int] = 1

    def values(self, outputs: Floats, targets: Targets) -> Floats:
        return _excess(outputs - targets, self.insensitivity)

    def gradient(self, outputs: Floats, targets: Targets) -> Floats:
        error = outputs - targets
        slope: Floats = np.sign(error) * (np.abs(error) > np.float32(self.insensitivity))
        return slope


@dataclass(frozen=True, slots=True)
class Quantile:
    """The pinball loss: its minimum is the quantile of the label."""

    quantile: float
    metric: ClassVar[str] = "quantile_loss"
    degree: ClassVar[int] = 1

    def values(self, outputs: Floats, targets: Targets) -> Floats:
        error = targets - outputs
        loss: Floats = np.maximum(
            np.float32(self.quantile) * error, np.float32(self.quantile - 1) * error
        )
        return loss

    def gradient(self, outputs: Floats, targets: Targets) -> Floats:
        too_high = (outputs > targets).astype(np.float32)
        return too_high - np.float32(self.quantile)


@dataclass(frozen=True, slots=True)
class Huber:
    """Half the square of a small error, and linear beyond `delta`."""

    delta: float
    metric: ClassVar[str] = "huber_loss"
    degree: ClassVar[int] = 2

    def values(self, outputs: Floats, targets: Targets) -> Floats:
        size = np.abs(outputs - targets)
        delta = np.float32(self.delta)
        inside = np.minimum(size, delta)
        loss: Floats = inside * (size - inside / 2)
        return loss

    def gradient(self, outputs: Floats, targets: Targets) -> Floats:
        slope: Floats = np.clip(outputs - targets, -np.float32(self.delta), np.float32(self.delta))
        return slope


@dataclass(frozen=True, slots=True)
class Logistic:
    """Cross entropy of a probability given by its log-odds."""

    metric: ClassVar[str] = "binary_classification_cross_entropy"
    degree: ClassVar[int] = 0

    def values(self, outputs: Floats, targets: Targets) -> Floats:
        margin = outputs * targets
        loss: Floats = np.maximum(-margin, 0) + np.log1p(np.exp(-np.abs(margin)))
        return loss

    def gradient(self, outputs: Floats, targets: Targets) -> Floats:
        return -targets * sigmoid(-outputs * targets)


@dataclass(frozen=True, slots=True)
class Hinge:
    """What the margin falls short of `margin` by."""

    margin: float
    metric: ClassVar[str] = "hinge_loss"
    degree: ClassVar[int] = 0

    def values(self, outputs: Floats, targets: Targets) -> Floats:
        loss: Floats = np.maximum(np.float32(self.margin) - outputs * targets, 0)
        return loss

    def gradient(self, outputs: Floats, targets: Targets) -> Floats:
        return -targets * (outputs * targets < np.float32(self.margin))


@dataclass(frozen=True, slots=True)
class Softmax:
    """Cross entropy over classes."""

    metric: ClassVar[str] = "multiclass_cross_entropy"
    degree: ClassVar[int] = 0

    def values(self, outputs: Floats, targets: Targets) -> Floats:
        top = outputs.max(axis=-1, keepdims=True)
        total = np.log(np.exp(outputs - top).sum(axis=-1)) + top[..., 0]
        loss: Floats = total - np.take_along_axis(outputs, _classes(targets), axis=-1)[..., 0]
        return loss

    def gradient(self, outputs: Floats, targets: Targets) -> Floats:
        slope = softmax(outputs)
        chosen = _classes(targets)
        hit = np.take_along_axis(slope, chosen, axis=-1) - 1
        np.put_along_axis(slope, np.broadcast_to(chosen, hit.shape), hit, axis=-1)
        return slope


def sigmoid(log_odds: NDArray[np.floating]) -> NDArray[np.floating]:
    """The probability of these log-odds, without overflow."""
    small = np.exp(-np.abs(log_odds))
    result: NDArray[np.floating] = np.where(log_odds >= 0, 1, small) / (1 + small)
    return result.astype(log_odds.dtype, copy=False)


def softmax(outputs: Floats) -> Floats:
    """Probabilities over the last axis."""
    exponentials = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
    exponentials /= exponentials.sum(axis=-1, keepdims=True)
    excess: Floats = exponentials
    return excess


def _excess(error: Floats, insensitivity: float) -> Floats:
    return np.maximum(np.abs(error) - np.float32(insensitivity), 0)


def _classes(targets: Targets) -> NDArray[np.intp]:
    """The class column as rows x 1 x 1, to index rows x candidates x classes."""
    return targets.astype(np.intp)[..., None]

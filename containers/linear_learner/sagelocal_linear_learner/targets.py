"""Labels as the losses want them, checked against what kind of model is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sagelocal_first_party.rows import Dataset

from sagelocal_linear_learner.hyperparameters import BINARY, MULTICLASS
from sagelocal_linear_learner.scaling import Scaler
from sagelocal_linear_learner.settings import Settings

Floats = NDArray[np.float32]
Vector = NDArray[np.float64]
Counts = NDArray[np.int64]


def check_labels(dataset: Dataset, settings: Settings) -> None:
    """Raises UserError where a label cannot belong to the kind of model."""
    labels = dataset.labels
    if settings.predictor_type == BINARY:
        right = np.isin(labels, (0.0, 1.0))
        expected = "a binary_classifier needs 0 or 1"
    elif settings.predictor_type == MULTICLASS:
        right = (labels == np.floor(labels)) & (labels >= 0) & (labels < settings.num_classes)
        expected = (
            f"a multiclass_classifier with num_classes={settings.num_classes} needs whole numbers "
            f"from 0 to {settings.num_classes - 1}"
        )
    else:
        return
    dataset.check_labels(right, f"{expected}. CSV has the label in its first column")


def targets_of(labels: Vector, settings: Settings, scaler: Scaler) -> Floats:
    """A column of -1 and 1, of class numbers, or of scaled labels."""
    if settings.predictor_type == BINARY:
        column = labels * 2 - 1
    elif settings.predictor_type == MULTICLASS:
        column = labels
    else:
        column = scaler.scale_labels(labels)
    return column[:, None].astype(np.float32)


def class_counts(labels: Vector, settings: Settings) -> Counts:
    """How many rows each class has; for a regressor, which has none, 0 of two."""
    if settings.predictor_type not in (BINARY, MULTICLASS):
        return np.zeros(2, np.int64)
    return np.bincount(labels.astype(np.intp), minlength=max(settings.num_classes, 2))


def balance(counts: Counts) -> float:
    """The number of negative examples per positive one; 1 where a class is missing."""
    negative, positive = counts[:2].tolist()
    return float(negative / positive) if positive and negative else 1.0


@dataclass(frozen=True, slots=True)
class PositiveWeights:
    """The weight of a binary example, per candidate; 1 on average over the training data."""

    positive: Floats
    negative: Floats

    @staticmethod
    def of(counts: Counts, per_candidate: list[float]) -> PositiveWeights:
        positive = np.array(per_candidate)
        share = counts[1] / counts.sum()
        mean = share * positive + (1 - share)
        return PositiveWeights((positive / mean).astype(np.float32), (1 / mean).astype(np.float32))

    def __call__(self, targets: Floats) -> Floats:
        return np.where(targets > 0, self.positive, self.negative)


@dataclass(frozen=True, slots=True)
class ClassWeights:
    """The weight of an example by its class; classes have the same total weight."""

    per_class: Floats

    @staticmethod
    def of(counts: Counts) -> ClassWeights:
        present = np.count_nonzero(counts)
        weights = counts.sum() / (present * np.maximum(counts, 1))
        return ClassWeights(weights.astype(np.float32))

    def __call__(self, targets: Floats) -> Floats:
        return self.per_class[targets.astype(np.intp)]

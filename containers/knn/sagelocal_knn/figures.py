"""What the model is worth on a dataset, under the names that log lines and metrics use."""

from __future__ import annotations

import numpy as np
from sagelocal_first_party import Dataset, Metric

from sagelocal_knn.model import Floats, Model


def figures(model: Model, dataset: Dataset, batch_size: int) -> list[Metric]:
    """Accuracy and macro F1 of a classifier, the mean square error of a regressor."""
    predicted = np.concatenate(
        [model.predict(model.neighbours(batch)) for batch in dataset.batches(batch_size)]
    )
    labels = dataset.labels.astype(np.float32)
    if model.predictor_type == "regressor":
        squares = np.square(predicted.astype(np.float64) - labels)
        return [Metric("mse", float(squares.mean()), "loss")]
    return [
        Metric("accuracy", float((predicted == labels).mean()), "score"),
        Metric("macro_f_1.000", _macro_f1(predicted, labels), "score"),
    ]


def _macro_f1(predicted: Floats, labels: Floats) -> float:
    """The mean of all classes' F1 scores."""
    scores = []
    for label in np.union1d(predicted, labels):
        called, true = predicted == label, labels == label
        scores.append(2 * (called & true).sum() / (called.sum() + true.sum()))
    return float(np.mean(scores))

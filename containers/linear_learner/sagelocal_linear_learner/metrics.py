"""What the final model is worth on a dataset, under the names that log lines and metrics use."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sagelocal_first_party.hosts import ALONE, Group
from sagelocal_first_party.log import Metric
from sagelocal_first_party.rows import Dataset

from sagelocal_linear_learner.losses import Loss
from sagelocal_linear_learner.model import LinearModel
from sagelocal_linear_learner.scaling import Scaler
from sagelocal_linear_learner.settings import Settings
from sagelocal_linear_learner.targets import targets_of

Vector = NDArray[np.float64]
Labels = NDArray[np.int64]


def evaluate(
    model: LinearModel,
    dataset: Dataset,
    settings: Settings,
    loss: Loss,
    scaler: Scaler,
    group: Group = ALONE,
) -> list[Metric]:
    """The objective first, in the label's own unit, then what fits the kind of model.

    Over the rows of all hosts on the first one; nothing on the others.
    """
    everyones = group.gather(*_predictions(model, dataset), dataset.labels)
    if not everyones:
        return []
    outputs, scores, given = (np.concatenate(column) for column in zip(*everyones, strict=True))
    objective = Metric(
        f"{loss.metric}_objective", _objective(outputs, given, settings, loss, scaler), "loss"
    )
    if settings.predictor_type == "regressor":
        return [objective, *_regression(scores, given)]
    labels = given.astype(np.int64)
    if settings.predictor_type == "binary_classifier":
        return [objective, *_binary(scores, model.labels(scores), labels, settings.f_beta)]
    return [objective, *_multiclass(scores, labels, settings)]


def _predictions(model: LinearModel, dataset: Dataset) -> tuple[Vector, Vector]:
    """Outputs and scores of all rows; features stay in memory a part at a time."""
    step = max(1, (1 << 20) // max(model.width, len(model.bias)))
    outputs, scores = [], []
    for start in range(0, len(dataset), step):
        part = dataset.rows.part(start, start + step)
        outputs.append(model.outputs(part))
        scores.append(model.scores(part))
    return np.concatenate(outputs), np.concatenate(scores)


def _objective(
    outputs: Vector, labels: Vector, settings: Settings, loss: Loss, scaler: Scaler
) -> float:
    """The mean loss, unweighted; that of a scaled label brought back to the label's unit."""
    targets = targets_of(labels, settings, scaler)
    scaled = outputs.astype(np.float32)
    if settings.predictor_type == "regressor":
        scaled = scaler.scale_labels(outputs).astype(np.float32)
    if settings.predictor_type == "multiclass_classifier":
        scaled = scaled[:, None, :]
    mean = float(loss.values(scaled, targets).mean(dtype=np.float64))
    return mean * float(scaler.label.deviation[0]) ** loss.degree


def _regression(predicted: Vector, labels: Vector) -> Iterator[Metric]:
    error = predicted - labels
    mse = float(np.mean(error**2))
    yield Metric("mse", mse, "loss")
    yield Metric("absolute_loss", float(np.mean(np.abs(error))), "loss")
    yield Metric("rmse", mse**0.5, "loss")


def _binary(scores: Vector, predicted: Labels, labels: Labels, beta: float) -> Iterator[Metric]:
    hits = int(((predicted == 1) & (labels == 1)).sum())
    precision = _share(hits, int((predicted == 1).sum()))
    recall = _share(hits, int((labels == 1).sum()))
    yield Metric("binary_classification_accuracy", float((predicted == labels).mean()), "score")
    yield Metric(f"binary_f_{beta:.3f}", _f_score(precision, recall, beta), "score")
    yield Metric("precision", precision, "score")
    yield Metric("recall", recall, "score")
    if 0 < labels.sum() < len(labels):
        yield Metric("roc_auc_score", roc_auc(scores, labels == 1), "score")


def _multiclass(scores: Vector, labels: Labels, settings: Settings) -> Iterator[Metric]:
    rows = np.arange(len(labels))
    own = scores[rows, labels]
    # Equal scores count against the model: its rank is the worst it may have.
    ranks = (scores >= own[:, None]).sum(axis=1)
    predicted = scores.argmax(axis=1)
    recalls, precisions = _per_class(predicted, labels, scores.shape[1])
    recall, precision = float(recalls.mean()), float(precisions.mean())
    top_k = settings.accuracy_top_k
    yield Metric("multiclass_accuracy", float((predicted == labels).mean()), "score")
    yield Metric(f"multiclass_top_k_accuracy_{top_k}", float((ranks <= top_k).mean()), "score")
    yield Metric("dcg", float(np.mean(1 / np.log2(1 + ranks))), "score")
    yield Metric("macro_recall", recall, "score")
    yield Metric("macro_precision", precision, "score")
    macro_f = _f_score(precision, recall, settings.f_beta)
    yield Metric(f"macro_f_{settings.f_beta:.3f}", macro_f, "score")
    yield Metric("multiclass_balanced_accuracy", recall, "score")
    log_loss = float(-np.mean(np.log(np.maximum(own, np.finfo(np.float64).tiny))))
    yield Metric("multiclass_log_loss", log_loss, "score")


def _per_class(predicted: Labels, labels: Labels, classes: int) -> tuple[Vector, Vector]:
    """Recall and precision of the classes that occur."""
    hits = np.bincount(labels[predicted == labels], minlength=classes)
    actual = np.bincount(labels, minlength=classes)
    called = np.bincount(predicted, minlength=classes)
    present = actual > 0
    recalls: Vector = hits[present] / actual[present]
    precisions: Vector = hits[present] / np.maximum(called[present], 1)
    return recalls, precisions


def roc_auc(scores: Vector, positive: NDArray[np.bool_]) -> float:
    """The area under the ROC curve: how often a positive row scores above a negative one."""
    order = np.argsort(scores, kind="stable")
    ranked = scores[order]
    # Rows of equal score share the mean of their ranks.
    first = np.searchsorted(ranked, ranked, side="left")
    last = np.searchsorted(ranked, ranked, side="right")
    ranks = np.empty(len(scores))
    ranks[order] = (first + last + 1) / 2
    positives = int(positive.sum())
    negatives = len(positive) - positives
    area = ranks[positive].sum() - positives * (positives + 1) / 2
    return float(area / (positives * negatives))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _f_score(precision: float, recall: float, beta: float) -> float:
    below = beta**2 * precision + recall
    return (1 + beta**2) * precision * recall / below if below else 0.0

"""Which candidate is the best, and from which score on a binary one says 1.

Regression and multiclass models are compared by their loss. Binary ones are compared by the
criterion that the job names, each at its own best threshold. A threshold is tried between every
two neighbouring outputs of the sample, all candidates by the same few array operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sagelocal_first_party.rows import DenseRows

from sagelocal_linear_learner.fit import Fit, Problem, Task, scaled_parts
from sagelocal_linear_learner.settings import Settings

Vector = NDArray[np.float64]

DEFAULT_SAMPLES = 100_000
_BY_LOSS = ("loss_function", "cross_entropy_loss")


@dataclass(frozen=True, slots=True)
class Choice:
    """The best candidate; `threshold` belongs to its output, before any link."""

    candidate: int
    threshold: float = 0.0


@dataclass(frozen=True, slots=True)
class Cut:
    """A threshold and what it achieves; more is better."""

    threshold: float
    value: float


def choose(fit: Fit, task: Task, judge: Problem) -> Choice:
    """The candidate that the artifact is made of."""
    settings = task.settings
    criterion = settings.binary_classifier_model_selection_criteria
    if settings.predictor_type != "binary_classifier" or criterion in _BY_LOSS:
        return Choice(int(fit.losses.argmin()))
    samples = settings.num_calibration_samples or DEFAULT_SAMPLES
    sample = _sample(judge, -(-samples // task.group.size))
    parts = [
        (fit.parameters(scaled), targets)
        for scaled, targets in scaled_parts(sample, task.scaler, len(fit.parameters.bias))
    ]
    outputs = np.concatenate([part for part, _ in parts])
    positive = np.concatenate([targets for _, targets in parts])[:, 0] > 0
    everyones = task.group.gather(outputs, positive)
    chosen = _chosen(fit, everyones, settings) if everyones else Choice(0)
    candidate, threshold = task.group.broadcast(np.array([chosen.candidate, chosen.threshold]))[0]
    return Choice(int(candidate), float(threshold))


def _chosen(fit: Fit, everyones: Sequence[Sequence[NDArray[Any]]], settings: Settings) -> Choice:
    """The best cut of the best candidate, by the outputs and labels of all hosts' samples."""
    outputs, positive = (np.concatenate(column) for column in zip(*everyones, strict=True))
    alive = np.flatnonzero(np.isfinite(fit.losses))
    cuts = {int(i): best_cut(outputs[:, i].astype(np.float64), positive, settings) for i in alive}
    best = max(cuts, key=lambda i: (cuts[i].value, -fit.losses[i]))
    return Choice(best, cuts[best].threshold)


def best_cut(outputs: Vector, positive: NDArray[np.bool_], settings: Settings) -> Cut:
    """The threshold that serves the criterion best; among equals the one nearest to 0."""
    order = np.argsort(-outputs, kind="stable")
    ranked, hits = outputs[order], positive[order]
    true_positives = np.concatenate([[0], np.cumsum(hits)]).astype(np.float64)
    called_positive = np.arange(len(ranked) + 1)
    values = _criterion(true_positives, called_positive, int(hits.sum()), len(hits), settings)
    # Outputs from `lower` (exclusive) to `upper` all cut the same rows off.
    upper = np.concatenate([[np.inf], ranked])
    lower = np.concatenate([ranked, [-np.inf]])
    values[upper <= lower] = -np.inf
    thresholds = _between(lower, upper)
    best = np.flatnonzero(values == values.max())
    nearest = best[np.abs(thresholds[best]).argmin()]
    return Cut(float(thresholds[nearest]), float(values[nearest]))


def _between(lower: Vector, upper: Vector) -> Vector:
    """0 where it lies between the bounds, else their middle; a step outside where one is open."""
    with np.errstate(invalid="ignore"):
        middle = lower / 2 + upper / 2
    middle = np.where(np.isinf(upper), lower + 1, middle)
    middle = np.where(np.isinf(lower), upper - 1, middle)
    return np.where((lower < 0) & (upper >= 0), 0.0, middle)


def _criterion(
    hits: Vector, called: NDArray[np.int64], positives: int, rows: int, settings: Settings
) -> Vector:
    """What the criterion makes of `called` rows labelled 1, `hits` of them rightly."""
    name = settings.binary_classifier_model_selection_criteria
    misses = positives - hits
    false_alarms = called - hits
    if name == "accuracy":
        return (rows - misses - false_alarms) / rows
    if name in ("f_beta", "f1"):
        beta_2 = 1.0 if name == "f1" else settings.f_beta**2
        weighted = (1 + beta_2) * hits
        return _ratio(weighted, weighted + beta_2 * misses + false_alarms)
    precision = _ratio(hits, called)
    recall = _ratio(hits, np.full_like(hits, positives))
    if name == "precision_at_target_recall":
        return _held(precision, recall, settings.target_recall)
    return _held(recall, precision, settings.target_precision)


def _held(wanted: Vector, held: Vector, target: float) -> Vector:
    """`wanted` where the other one reaches its target; elsewhere how near it comes, below 0."""
    return np.where(held >= target, wanted, held - 1)


def _ratio(part: Vector, whole: Vector | NDArray[np.int64]) -> Vector:
    return np.divide(part, whole, out=np.zeros_like(part), where=np.asarray(whole) != 0)


def _sample(judge: Problem, samples: int) -> Problem:
    """Rows at even distances: files are often sorted by label."""
    if len(judge.rows) <= samples:
        return judge
    chosen = np.linspace(0, len(judge.rows) - 1, samples).astype(np.intp)
    return Problem(DenseRows(judge.rows.take(chosen)), judge.targets[chosen])

"""Training: all candidates at once, by mini-batches, the best state of each kept.

The weights of all candidates are the columns of one matrix, so that one matrix product serves them
all: 32 candidates cost little more than one. After every epoch each candidate is judged twice on
all rows of the validation set (of the training set where there is none): as it is, and averaged
over the updates of the epoch, which takes out the noise of small batches. Its better state so far
is what competes in the end.

With several hosts each has rows of its own, and all have the same weights: the gradients of a batch
are summed over the hosts before they move anything, losses are means over the rows of all, and so
every host comes to the same decisions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sagelocal_first_party.hosts import ALONE, Group
from sagelocal_first_party.rows import Rows

from sagelocal_linear_learner.candidates import Candidate
from sagelocal_linear_learner.losses import Loss
from sagelocal_linear_learner.optimizers import Adam, Optimizer, RmsProp, Sgd
from sagelocal_linear_learner.scaling import Scaler
from sagelocal_linear_learner.settings import Settings

Floats = NDArray[np.float32]
Vector = NDArray[np.float64]

# The same job gives the same model: where weights begin and the order of rows hang on this alone.
SEED = 20171129

# Rows are gathered and scaled in pieces of about this many numbers, outputs computed likewise.
_GATHERED = 1 << 20


@dataclass(frozen=True, slots=True)
class Problem:
    """Rows to learn from or to judge by, with targets as the loss wants them."""

    rows: Rows
    targets: Floats
    """rows x 1"""
    weights: Callable[[Floats], Floats] | None = None
    """From targets to the weight of each row, rows x candidates or rows x 1."""


@dataclass(frozen=True, slots=True)
class Task:
    """Everything that a fit depends on but the data to judge by."""

    settings: Settings
    loss: Loss
    scaler: Scaler
    candidates: Sequence[Candidate]
    train: Problem
    group: Group = ALONE
    rows: tuple[int, ...] = ()
    """How many rows to learn from each host has; nothing is one host with those of `train`."""

    @property
    def batch_bounds(self) -> list[NDArray[np.int64]]:
        """For each host, where the batches of an epoch begin in its rows, and their end.

        All hosts have as many batches: those of one host with all rows.
        """
        rows, size = self.rows or (len(self.train.rows),), self.settings.mini_batch_size
        if len(rows) == 1:
            return [np.append(np.arange(0, rows[0], size), rows[0])]
        batches = -(-sum(rows) // size)
        return [np.arange(batches + 1) * count // batches for count in rows]


@dataclass(frozen=True, slots=True)
class Parameters:
    """Weights (width x candidates * outputs) and bias of all candidates."""

    weights: Floats
    bias: Floats
    outputs: int

    @property
    def candidates(self) -> int:
        return len(self.bias) // self.outputs

    def __call__(self, scaled: Floats) -> Floats:
        """Outputs of scaled rows: rows x candidates, or rows x candidates x outputs."""
        flat = scaled @ self.weights
        flat += self.bias
        return flat if self.outputs == 1 else flat.reshape(len(scaled), -1, self.outputs)

    def columns(self, candidate: int) -> slice:
        """Where a candidate's outputs lie."""
        return slice(candidate * self.outputs, (candidate + 1) * self.outputs)

    def joined(self, other: Parameters) -> Parameters:
        """Both sets of candidates side by side."""
        return Parameters(
            np.concatenate([self.weights, other.weights], axis=1),
            np.concatenate([self.bias, other.bias]),
            self.outputs,
        )


@dataclass(frozen=True, slots=True)
class EpochReport:
    """What an epoch brought, for the log."""

    epoch: int
    train_losses: Vector
    validation_losses: Vector | None
    best_loss: float
    improved: bool
    records: int
    batches: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Fit:
    """The best state of every candidate, and its loss on what it was judged by.

    Without validation data the losses are those on the training data plus the penalties.
    """

    parameters: Parameters
    losses: Vector


def fit(
    task: Task,
    judge: Problem | None,
    report: Callable[[EpochReport], None] = lambda epoch: None,
) -> Fit:
    """Train until the epochs are over or nothing improves any more.

    `judge` is the validation data; without it the training data decides.
    """
    trainer = _Trainer(task)
    best = _Best(trainer.parameters)
    patience = _Patience.of(task.settings, len(task.candidates))
    with np.errstate(all="ignore"):  # A candidate that diverges is left behind by its loss.
        for epoch in range(task.settings.epochs):
            started = time.monotonic()
            running = trainer.epoch()
            losses = best.consider(trainer.parameters, trainer.average, task, judge)
            improved = patience.observe(losses)
            report(
                EpochReport(
                    epoch=epoch,
                    train_losses=running if judge else losses,
                    validation_losses=losses if judge else None,
                    best_loss=best.loss,
                    improved=improved,
                    records=len(task.train.rows),
                    batches=trainer.batches,
                    seconds=time.monotonic() - started,
                )
            )
            if patience.exhausted:
                break
    return Fit(best.parameters, best.losses)


def mean_losses(parameters: Parameters, task: Task, problem: Problem) -> Vector:
    """The loss of every candidate over all rows, infinite where a candidate has diverged."""
    totals = np.zeros(parameters.candidates)
    weight_totals = np.zeros(1)
    for scaled, targets in scaled_parts(problem, task.scaler, len(parameters.bias)):
        values = task.loss.values(parameters(scaled), targets)
        if problem.weights is not None:
            weights = _tiled(problem.weights(targets), parameters.candidates)
            values = values * weights
            weight_totals = weight_totals + weights.sum(axis=0, dtype=np.float64)
        else:
            weight_totals = weight_totals + len(targets)
        totals += values.sum(axis=0, dtype=np.float64)
    totals, weight_totals = task.group.sum(totals, weight_totals)
    means: Vector = totals / weight_totals
    return np.where(np.isfinite(means), means, np.inf)


def penalties(parameters: Parameters, candidates: Sequence[Candidate]) -> Vector:
    """What l1 and weight decay add to the loss, for as many states as there are of each."""
    absolute = np.abs(parameters.weights).sum(axis=0, dtype=np.float64)
    squared = np.square(parameters.weights).sum(axis=0, dtype=np.float64)
    states = parameters.candidates // len(candidates)
    l1 = np.tile([candidate.l1 for candidate in candidates], states)
    wd = np.tile([candidate.wd for candidate in candidates], states)
    total: Vector = l1 * absolute.reshape(-1, parameters.outputs).sum(axis=1)
    total += wd / 2 * squared.reshape(-1, parameters.outputs).sum(axis=1)
    return total


def scaled_parts(problem: Problem, scaler: Scaler, columns: int) -> Iterator[tuple[Floats, Floats]]:
    """All rows in order, scaled, a bounded number of them at a time, with their targets."""
    step = max(1, _GATHERED // max(problem.rows.width, columns, 1))
    for start in range(0, len(problem.rows), step):
        stop = min(start + step, len(problem.rows))
        yield scaler.scale_features(problem.rows.part(start, stop)), problem.targets[start:stop]


def _tiled(weights: Floats, candidates: int) -> Floats:
    """Weights per candidate, repeated where candidates are judged in several states at once."""
    repeats = candidates // weights.shape[1] if weights.shape[1] > 1 else 1
    return np.tile(weights, (1, repeats)) if repeats > 1 else weights


class _Trainer:
    """The moving state of all candidates."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._rng = np.random.default_rng(SEED)
        self.parameters = _initial(task, self._rng)
        if not task.group.is_first:
            # The same beginning as the first host's, another order: the rows may be the same.
            self._rng = np.random.default_rng([SEED, task.group.rank])
        bounds = task.batch_bounds
        self._bounds = bounds[task.group.rank]
        self._batch_rows: list[int] = np.diff(np.array(bounds)).sum(axis=0).tolist()
        self.average = self.parameters
        self._weight_steps = _optimizer(task.settings)
        self._bias_steps = _optimizer(task.settings)
        self._updates = 0
        self._l1 = self._row([candidate.l1 for candidate in task.candidates])
        self._wd = self._row([candidate.wd for candidate in task.candidates])

    @property
    def batches(self) -> int:
        """Updates in an epoch."""
        return len(self._batch_rows)

    def epoch(self) -> Vector:
        """One pass over the training rows; returns the mean loss of each candidate on its way."""
        task, train = self._task, self._task.train
        order = self._rng.permutation(len(train.rows))
        together = max(1, _GATHERED // max(train.rows.width * task.settings.mini_batch_size, 1))
        totals = np.zeros(len(self._task.candidates))
        sums = Parameters(
            np.zeros_like(self.parameters.weights),
            np.zeros_like(self.parameters.bias),
            self.parameters.outputs,
        )
        for first in range(0, self.batches, together):
            bounds = self._bounds[first : first + together + 1]
            chosen = order[bounds[0] : bounds[-1]]
            scaled = task.scaler.scale_features(train.rows.take(chosen))
            targets = train.targets[chosen]
            for number, (start, stop) in enumerate(pairwise((bounds - bounds[0]).tolist()), first):
                rows = self._batch_rows[number]
                totals += self._update(scaled[start:stop], targets[start:stop], rows)
                np.add(sums.weights, self.parameters.weights, out=sums.weights)
                np.add(sums.bias, self.parameters.bias, out=sums.bias)
        np.divide(sums.weights, self.batches, out=sums.weights)
        np.divide(sums.bias, self.batches, out=sums.bias)
        self.average = sums
        (totals,) = task.group.sum(totals)
        return totals / sum(self._batch_rows)

    def _update(self, scaled: Floats, targets: Floats, rows: int) -> Vector:
        """Move all candidates by one batch, of so many rows on all hosts; returns the sum of the
        losses of this host's rows before the move."""
        task, now = self._task, self.parameters
        outputs = now(scaled)
        losses = task.loss.values(outputs, targets)
        slope = task.loss.gradient(outputs, targets)
        if task.train.weights is not None:
            weights = task.train.weights(targets)
            losses = losses * weights
            slope = slope * (weights if slope.ndim == 2 else weights[..., None])
        slope = slope.reshape(len(scaled), len(now.bias)) / np.float32(rows)
        rates = self._row([c.rate(self._updates) for c in task.candidates])
        weights_slope, bias_slope = task.group.sum(scaled.T @ slope, slope.sum(axis=0))
        self._move_weights(weights_slope, rates)
        if task.settings.use_bias:
            self._move_bias(bias_slope, rates)
        self._updates += 1
        total: Vector = losses.sum(axis=0, dtype=np.float64)
        return total

    def _move_weights(self, gradient: Floats, rates: Floats) -> None:
        weights = self.parameters.weights
        gradient += self._wd * weights
        movement, size = self._weight_steps.step(gradient, rates)
        weights -= movement
        if self._l1.any():
            # The proximal step of l1 in the optimiser's own metric: small weights become 0.
            shrunk = np.maximum(np.abs(weights) - size * self._l1, 0)
            np.copysign(shrunk, weights, out=weights)

    def _move_bias(self, gradient: Floats, rates: Floats) -> None:
        settings, bias = self._task.settings, self.parameters.bias
        gradient = gradient + self._wd * np.float32(settings.bias_wd_mult) * bias
        movement, _ = self._bias_steps.step(gradient, rates * np.float32(settings.bias_lr_mult))
        bias -= movement

    def _row(self, per_candidate: Sequence[float]) -> Floats:
        return np.repeat(np.array(per_candidate, np.float32), self.parameters.outputs)


def _initial(task: Task, rng: np.random.Generator) -> Parameters:
    settings = task.settings
    columns = len(task.candidates) * settings.outputs
    shape = (task.train.rows.width, columns)
    if settings.init_method == "uniform":
        weights = rng.uniform(-settings.init_scale, settings.init_scale, shape)
    else:
        weights = rng.normal(0, settings.init_sigma, shape)
    bias = np.full(columns, settings.init_bias if settings.use_bias else 0.0, np.float32)
    return Parameters(weights.astype(np.float32), bias, settings.outputs)


def _optimizer(settings: Settings) -> Optimizer:
    if settings.optimizer == "sgd":
        return Sgd(settings.momentum)
    if settings.optimizer == "rmsprop":
        return RmsProp(settings.beta_2, settings.momentum)
    return Adam(settings.beta_1, settings.beta_2)


@dataclass(slots=True)
class _Best:
    """The best state of each candidate so far."""

    parameters: Parameters
    losses: Vector = field(init=False)

    def __post_init__(self) -> None:
        now = self.parameters
        self.parameters = Parameters(now.weights.copy(), now.bias.copy(), now.outputs)
        self.losses = np.full(now.candidates, np.inf)

    @property
    def loss(self) -> float:
        return float(self.losses.min())

    def consider(
        self, current: Parameters, average: Parameters, task: Task, judge: Problem | None
    ) -> Vector:
        """Keep what is better than before; returns the loss of each candidate's better state.

        On the training data the penalties count as well: without them it would always be the
        state that is fitted to the noise most that seems best.
        """
        both = current.joined(average)
        losses = mean_losses(both, task, judge or task.train)
        judged = losses if judge else losses + penalties(both, task.candidates)
        losses, judged = losses.reshape(2, -1), judged.reshape(2, -1)
        for state, verdict in zip((current, average), judged, strict=True):
            better = np.flatnonzero(verdict < self.losses)
            columns = np.repeat(better * current.outputs, current.outputs)
            columns += np.tile(np.arange(current.outputs), len(better))
            self.parameters.weights[:, columns] = state.weights[:, columns]
            self.parameters.bias[columns] = state.bias[columns]
            self.losses[better] = verdict[better]
        chosen: Vector = np.take_along_axis(losses, judged.argmin(axis=0)[None], axis=0)[0]
        return chosen


@dataclass(slots=True)
class _Patience:
    """Stops each candidate's clock by itself: the fit is over when none has improved for long.

    An improvement counts if it is more than the tolerance, relative to the best loss before.
    """

    settings: Settings
    _best: Vector
    _waited: NDArray[np.int64]

    @staticmethod
    def of(settings: Settings, candidates: int) -> _Patience:
        return _Patience(settings, np.full(candidates, np.inf), np.zeros(candidates, np.int64))

    def observe(self, losses: Vector) -> bool:
        """Take in an epoch; returns whether any candidate has improved."""
        target = self._best * (1 - self.settings.early_stopping_tolerance)
        improved = np.where(np.isinf(self._best), np.isfinite(losses), losses < target)
        self._waited = np.where(improved, 0, self._waited + 1)
        self._best = np.minimum(self._best, losses)
        return bool(improved.any())

    @property
    def exhausted(self) -> bool:
        return bool((self._waited >= self.settings.early_stopping_patience).all())

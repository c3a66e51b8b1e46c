"""The models that are trained side by side: who differs from whom in what.

Whatever the job leaves on "auto" is spread over the candidates, whatever it fixes is the same for
all: learning rates first, then regularisation, then the weight of positive examples.

An adaptive optimiser moves a weight by about its learning rate per update, so the rates are
spread around 1.5 / sqrt(updates): few updates need large steps, many can afford small ones.
Plain gradient descent is stable up to about one over the mean square length of a row.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from sagelocal_linear_learner.settings import Settings

DEFAULT_MODELS = 32

# Candidates times weights are kept under this many numbers; each costs about 20 bytes.
MAX_PARAMETERS = 1 << 26

_RATE_FACTORS = (1.0, 2.0, 0.5, 4.0, 0.25, 0.125, 8.0, 0.0625)
_REGULARISATIONS = (
    (0.0, 0.0),
    (0.0, 1e-3),
    (1e-3, 0.0),
    (0.0, 1e-2),
    (1e-2, 0.0),
    (0.0, 1e-4),
    (1e-4, 0.0),
    (1e-3, 1e-3),
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What one of the models is trained with."""

    learning_rate: float
    l1: float
    wd: float
    positive_weight: float
    lr_scheduler_step: int
    lr_scheduler_factor: float
    lr_scheduler_minimum_lr: float

    def rate(self, update: int) -> float:
        """The learning rate of an update, counted from 0."""
        decayed = self.learning_rate * self.lr_scheduler_factor ** (
            update // self.lr_scheduler_step
        )
        return max(decayed, min(self.learning_rate, self.lr_scheduler_minimum_lr))


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the spread depends on, known once the data is read."""

    rows: int
    updates: int
    parameters_per_model: int
    mean_square_length: float
    weight_size: float
    balance: float

    """`weight_size` is the size that weights are expected to have (1 for normalised data),
    `balance` the number of negative examples per positive one."""


def candidates(settings: Settings, around: Circumstances) -> list[Candidate]:
    """The candidates in order of promise, as many as the job asks for."""
    count = model_count(settings, around.parameters_per_model)
    positive = _positive_weights(settings, around.balance)[:count]
    rates = _rates(settings, around)[: max(count // len(positive), 1)]
    share = math.ceil(count / (len(positive) * len(rates)))
    penalties = _penalties(settings, around.rows)[:share]
    grid = itertools.cycle(itertools.product(penalties, rates, positive))
    return [
        Candidate(rate, l1, wd, weight, *_schedule(settings, around.updates))
        for (l1, wd), rate, weight in itertools.islice(grid, count)
    ]


def model_count(settings: Settings, parameters_per_model: int) -> int:
    """How many candidates there are; "auto" takes fewer where they would not fit into memory."""
    if settings.num_models is not None:
        return settings.num_models
    return max(1, min(DEFAULT_MODELS, MAX_PARAMETERS // max(parameters_per_model, 1)))


def _rates(settings: Settings, around: Circumstances) -> list[float]:
    if settings.learning_rate is not None:
        return [settings.learning_rate]
    if settings.optimizer == "sgd":
        momentum = settings.momentum
        central = 0.25 * (1 - momentum) / (1 + around.mean_square_length)
    else:
        central = min(1.5 / math.sqrt(around.updates), 0.25) * around.weight_size
    return [central * factor for factor in _RATE_FACTORS]


def _penalties(settings: Settings, rows: int) -> list[tuple[float, float]]:
    """(l1, wd) pairs; a fixed one replaces the spread one in every pair.

    A classifier that separates its training data grows without end, so its weight decay starts at
    one over the number of rows: the prior of weights of size one.
    """
    least = 0.0 if settings.predictor_type == "regressor" else min(1 / rows, 0.01)
    pairs = (
        (
            l1 if settings.l1 is None else settings.l1,
            max(wd, least) if settings.wd is None else settings.wd,
        )
        for l1, wd in _REGULARISATIONS
    )
    return list(dict.fromkeys(pairs))


def _positive_weights(settings: Settings, balance: float) -> list[float]:
    mult = settings.positive_example_weight_mult
    if mult == "balanced":
        return [balance]
    if mult == "auto":
        return list(dict.fromkeys([1.0, balance, math.sqrt(balance)]))
    return [float(mult)]


def _schedule(settings: Settings, updates: int) -> tuple[int, float, float]:
    """Step, factor and floor of the learning rate; "auto" ends at a twentieth of the beginning."""
    if not settings.use_lr_scheduler:
        return 1, 1.0, 0.0
    step = settings.lr_scheduler_step or max(1, updates // 50)
    steps = max(updates / step, 1)
    factor = settings.lr_scheduler_factor
    if factor is None:
        factor = 0.05 ** (1 / steps)
    minimum = settings.lr_scheduler_minimum_lr
    return step, factor, 1e-5 if minimum is None else minimum

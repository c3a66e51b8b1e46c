"""The hyperparameter table of the algorithm, and the typed settings that come out of it.

Names, ranges and defaults are those of the developer guide's page "Factorization Machines
Hyperparameters".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast

from sagelocal_train.hyperparameters import (
    Categorical,
    Float,
    Hyperparameter,
    Hyperparameters,
    Integer,
    Values,
)

REGRESSOR, BINARY = "regressor", "binary_classifier"
Part = Literal["bias", "linear", "factors"]
PARTS: tuple[Part, ...] = ("bias", "linear", "factors")

_RATES = {"bias": 0.1, "linear": 0.001, "factors": 0.0001}
_DECAYS = {"bias": 0.01, "linear": 0.001, "factors": 0.00001}
_SIGMAS = {"bias": 0.01, "linear": 0.01, "factors": 0.001}
# What the documentation leaves open.
_SCALE = 0.07
_EPSILON = 1e-8


def _of_part(part: Part) -> Iterator[Hyperparameter]:
    """What can be said of the bias, of the weights of features, and of their factors."""
    methods = ["uniform", "normal", "constant"]
    yield Categorical(f"{part}_init_method", methods, default="normal", help=f"How {part} begins.")
    yield Float(
        f"{part}_init_scale",
        minimum=0,
        help=f"uniform: {part} begins between minus this and this; {_SCALE} if not given.",
    )
    yield Float(
        f"{part}_init_sigma",
        minimum=0,
        default=_SIGMAS[part],
        help="normal: the deviation.",
    )
    yield Float(f"{part}_init_value", help="constant: the value; 0 if not given.")
    yield Float(f"{part}_lr", minimum=0, default=_RATES[part], help=f"The learning rate of {part}.")
    yield Float(f"{part}_wd", minimum=0, default=_DECAYS[part], help=f"Weight decay of {part}.")


TABLE = Hyperparameters(
    Integer("feature_dim", minimum=1, required=True, help="Number of features."),
    Integer(
        "num_factors",
        minimum=1,
        required=True,
        help="Numbers that a feature has for its part in pairs.",
    ),
    Categorical(
        "predictor_type",
        [BINARY, REGRESSOR],
        required=True,
        help="What the label is: 0 or 1, or a number.",
    ),
    *(declared for part in PARTS for declared in _of_part(part)),
    Float("clip_gradient", above=0, help="The most that a gradient may have, up or down."),
    Integer("epochs", minimum=1, default=1, help="Passes over the training data."),
    Float("eps", above=0, help=f"Adam's epsilon; {_EPSILON} if not given."),
    Integer("mini_batch_size", minimum=1, default=1000, help="Rows per update."),
    Float(
        "rescale_grad",
        above=0,
        help="What the sum of a batch's gradients is multiplied by; 1 / its rows if not given.",
    ),
)


@dataclass(frozen=True, slots=True)
class PartSettings:
    """How one part of the model begins and learns."""

    method: str
    scale: float
    sigma: float
    value: float
    rate: float
    decay: float


@dataclass(frozen=True, slots=True)
class Settings:
    """The hyperparameters of a job; names and meanings are the algorithm's own."""

    feature_dim: int
    num_factors: int
    is_binary: bool
    bias: PartSettings
    linear: PartSettings
    factors: PartSettings
    clip_gradient: float | None
    epochs: int
    eps: float
    mini_batch_size: int
    rescale_grad: float | None


def settings_of(values: Values) -> Settings:
    """The typed settings of checked hyperparameters."""
    parts = {part: _part_of(values, part) for part in PARTS}
    return Settings(
        feature_dim=values.integer("feature_dim"),
        num_factors=values.integer("num_factors"),
        is_binary=values.text("predictor_type") == BINARY,
        **parts,
        clip_gradient=cast("float | None", values["clip_gradient"]),
        epochs=values.integer("epochs"),
        eps=_or(values, "eps", _EPSILON),
        mini_batch_size=values.integer("mini_batch_size"),
        rescale_grad=cast("float | None", values["rescale_grad"]),
    )


def _part_of(values: Values, part: Part) -> PartSettings:
    return PartSettings(
        method=values.text(f"{part}_init_method"),
        scale=_or(values, f"{part}_init_scale", _SCALE),
        sigma=values.number(f"{part}_init_sigma"),
        value=_or(values, f"{part}_init_value", 0.0),
        rate=values.number(f"{part}_lr"),
        decay=values.number(f"{part}_wd"),
    )


def _or(values: Values, name: str, default: float) -> float:
    return default if values[name] is None else values.number(name)

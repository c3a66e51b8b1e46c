"""The hyperparameter table of the algorithm, and the typed settings that come out of it.

Names, ranges and defaults are those of the developer guide's page "DeepAR Hyperparameters", ranges
to tune in those of "Tune a DeepAR Model".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal

from sagelocal_train.hyperparameters import (
    FIRST_PARTY_HIDDEN,
    Float,
    Hyperparameters,
    Integer,
    InvalidValue,
    Text,
    Tunable,
    Value,
    Values,
)

from sagelocal_deepar.frequency import Frequency

Likelihood = Literal["gaussian", "beta", "negative-binomial", "student-T", "deterministic-L1"]
LIKELIHOODS: tuple[Likelihood, ...] = (
    "gaussian",
    "beta",
    "negative-binomial",
    "student-T",
    "deterministic-L1",
)
IGNORE = "ignore"
_QUANTILES = "[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]"


class _LikelihoodName(Text):
    """One of the likelihoods, in any case: notebooks write `student-t` too."""

    def parse(self, text: str) -> Value:
        for name in LIKELIHOODS:
            if name.lower() == text.strip().lower():
                return name
        raise InvalidValue(f"{text!r} is not one of {list(LIKELIHOODS)!r}")


class _TimeFrequency(Text):
    """`H`, `5min`, ..."""

    def parse(self, text: str) -> Value:
        try:
            return str(Frequency.parse(text))
        except ValueError:
            raise InvalidValue(f"{text!r} is no frequency") from None


class _Cardinality(Text):
    """`auto`, `ignore`, nothing, or a list of positive integers, with and without brackets."""

    def parse(self, text: str) -> Value:
        word = text.strip().strip("\"'")
        if word in ("auto", IGNORE):
            return word
        if not word:
            return IGNORE
        numbers = re.fullmatch(r"\[?\s*(\d+(?:\s*,\s*\d+)*)\s*\]?", word)
        counts = [int(number) for number in numbers[1].split(",")] if numbers else []
        if not counts or min(counts) < 1:
            raise InvalidValue(f"{text!r} is not valid under any of the given schemas")
        return json.dumps(counts)


class _FeatureCount(Text):
    """`auto`, `ignore`, nothing, or a positive integer."""

    def parse(self, text: str) -> Value:
        word = text.strip().strip("\"'")
        if word in ("auto", IGNORE):
            return word
        if not word:
            return IGNORE
        if not re.fullmatch(r"[0-9]+", word) or int(word) < 1:
            raise InvalidValue(f"{text!r} is not valid under any of the given schemas")
        return word


class _Quantiles(Text):
    """A JSON list of numbers between 0 and 1, both excluded."""

    def parse(self, text: str) -> Value:
        try:
            found = json.loads(text)
            numbers = [float(entry) for entry in found if not isinstance(entry, bool)]
        except (ValueError, TypeError):
            raise InvalidValue(f"{text!r} is no list of numbers") from None
        if not isinstance(found, list) or not numbers or len(numbers) != len(found):
            raise InvalidValue(f"{text!r} is no list of numbers")
        if not all(0 < number < 1 for number in numbers):
            raise InvalidValue(f"{text!r} holds a number that is not between 0 and 1")
        return text


TABLE = Hyperparameters(
    Integer(
        "context_length",
        minimum=1,
        required=True,
        tunable=Tunable(1, 200),
        help="Steps that the model sees before it forecasts, besides lagged values from farther "
        "back; about as many as prediction_length.",
    ),
    Integer(
        "epochs",
        minimum=1,
        required=True,
        tunable=Tunable(1, 1000),
        help="Passes over the training data, at most.",
    ),
    Integer("prediction_length", minimum=1, required=True, help="Steps that a forecast has."),
    _TimeFrequency(
        "time_freq",
        required=True,
        expected="'M', 'W', 'D', 'H' or 'min', or a multiple of it such as '5min'",
        help="The time from a value of a series to the next: month, week, day, hour, minute.",
    ),
    _Cardinality(
        "cardinality",
        expected="'auto', 'ignore', an empty string or a list of positive integers",
        default="auto",
        help="How many categories each entry of `cat` has; `auto` counts them, `ignore` and an "
        "empty string leave `cat` out.",
    ),
    Float(
        "dropout_rate",
        minimum=0,
        below=1,
        default=0.1,
        tunable=Tunable(0, 0.2),
        help="Share of the cells' outputs that are left out at random in training.",
    ),
    Integer(
        "early_stopping_patience",
        minimum=1,
        help="Stop when the loss has not improved for so many epochs.",
    ),
    Integer(
        "embedding_dimension",
        minimum=1,
        default=10,
        tunable=Tunable(1, 50),
        help="Numbers that are learned for each category.",
    ),
    Float(
        "learning_rate",
        above=0,
        default=0.001,
        tunable=Tunable(1e-5, 1e-1),
        help="Step size of Adam.",
    ),
    _LikelihoodName(
        "likelihood",
        expected="'gaussian', 'beta', 'negative-binomial', 'student-T' or 'deterministic-L1'",
        default="student-T",
        help="Distribution of the values: `beta` for values from 0 to 1, `negative-binomial` for "
        "counts, `deterministic-L1` for a forecast of one path.",
    ),
    Integer(
        "mini_batch_size",
        minimum=1,
        default=128,
        tunable=Tunable(32, 1028),
        help="Windows of series in a training step.",
    ),
    Integer(
        "num_cells",
        minimum=1,
        default=40,
        tunable=Tunable(30, 200),
        help="Cells in each layer of the LSTM.",
    ),
    _FeatureCount(
        "num_dynamic_feat",
        expected="'auto', 'ignore', an empty string or a positive integer",
        default="auto",
        help="How many series `dynamic_feat` holds; `auto` counts them, `ignore` and an empty "
        "string leave it out.",
    ),
    Integer(
        "num_eval_samples",
        minimum=1,
        default=100,
        help="Paths that are drawn for each series of the test channel.",
    ),
    Integer("num_layers", minimum=1, default=2, tunable=Tunable(1, 8), help="Layers of the LSTM."),
    _Quantiles(
        "test_quantiles",
        expected="a JSON list of numbers between 0 and 1, such as [0.1, 0.5, 0.9]",
        default=_QUANTILES,
        help="Quantiles whose loss on the test channel is measured.",
    ),
    hidden=FIRST_PARTY_HIDDEN | {"_num_kv_servers", "_random_seed"},
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The hyperparameters of a job; names and meanings are the algorithm's own.

    `cardinality` and `num_dynamic_feat` are None where the data shall say them, and empty and 0
    where `cat` and `dynamic_feat` are left out.
    """

    context_length: int
    epochs: int
    prediction_length: int
    time_freq: Frequency
    cardinality: tuple[int, ...] | None = None
    dropout_rate: float = 0.1
    early_stopping_patience: int | None = None
    embedding_dimension: int = 10
    learning_rate: float = 1e-3
    likelihood: Likelihood = "student-T"
    mini_batch_size: int = 128
    num_cells: int = 40
    num_dynamic_feat: int | None = None
    num_eval_samples: int = 100
    num_layers: int = 2
    test_quantiles: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def settings_of(values: Values) -> Settings:
    """The typed settings of checked hyperparameters."""
    cardinality, features = values.text("cardinality"), values.text("num_dynamic_feat")
    patience = values["early_stopping_patience"]
    likelihood = next(name for name in LIKELIHOODS if name == values.text("likelihood"))
    return Settings(
        context_length=values.integer("context_length"),
        epochs=values.integer("epochs"),
        prediction_length=values.integer("prediction_length"),
        time_freq=Frequency.parse(values.text("time_freq")),
        cardinality=_counts(cardinality),
        dropout_rate=values.number("dropout_rate"),
        early_stopping_patience=None
        if patience is None
        else values.integer("early_stopping_patience"),
        embedding_dimension=values.integer("embedding_dimension"),
        learning_rate=values.number("learning_rate"),
        likelihood=likelihood,
        mini_batch_size=values.integer("mini_batch_size"),
        num_cells=values.integer("num_cells"),
        num_dynamic_feat={"auto": None, IGNORE: 0}.get(features, 0)
        if features in ("auto", IGNORE)
        else int(features),
        num_eval_samples=values.integer("num_eval_samples"),
        num_layers=values.integer("num_layers"),
        test_quantiles=tuple(float(each) for each in json.loads(values.text("test_quantiles"))),
    )


def _counts(cardinality: str) -> tuple[int, ...] | None:
    if cardinality == "auto":
        return None
    return () if cardinality == IGNORE else tuple(json.loads(cardinality))

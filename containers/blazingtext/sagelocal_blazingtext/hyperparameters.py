"""The hyperparameter table of the algorithm, and the typed settings that come out of it.

Names, ranges and defaults are those of the developer guide's page "BlazingText Hyperparameters",
ranges to tune in those of "Tune a BlazingText Model". One table serves all modes: a hyperparameter
that the mode does not use is checked and has no effect.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from sagelocal_train.hyperparameters import (
    Boolean,
    Categorical,
    Check,
    Float,
    Hyperparameters,
    Integer,
    Tunable,
    Values,
)

from sagelocal_blazingtext.settings import MODES, Settings


def _subwords_where_they_are(values: Values) -> str | None:
    if values.flag("subwords") and values.text("mode") == "batch_skipgram":
        return (
            "'subwords' is true, but 'batch_skipgram' learns whole words only: set 'mode' to "
            "'skipgram' or 'cbow', or 'subwords' to false"
        )
    return None


def _characters_in_order(values: Values) -> str | None:
    least, most = values.integer("min_char"), values.integer("max_char")
    if least > most:
        return f"'min_char' is {least} and 'max_char' is {most}: min_char must not be the larger"
    return None


TABLE = Hyperparameters(
    Categorical(
        "mode",
        MODES,
        required=True,
        tunable=True,
        help="`supervised` classifies texts; the others learn word vectors.",
    ),
    Integer(
        "batch_size",
        minimum=1,
        default=11,
        tunable=Tunable(8, 32),
        help="batch_skipgram: words that are trained by one matrix product and share their "
        "negative samples; 64 at most are taken together.",
    ),
    Integer(
        "buckets",
        minimum=1,
        default=2_000_000,
        tunable=Tunable(1_000_000, 10_000_000),
        help="Rows that word n-grams (supervised) or subwords are hashed to. Each has vector_dim "
        "numbers of 4 bytes in the model, used or not.",
    ),
    Boolean(
        "early_stopping",
        default=False,
        help="supervised: stop when the accuracy on the validation channel improves no more, and "
        "keep the best epoch.",
    ),
    Integer(
        "epochs",
        minimum=1,
        default=5,
        tunable=Tunable(5, 15),
        help="Passes over the training data; the most there are with early_stopping.",
    ),
    Boolean(
        "evaluation",
        default=True,
        help="Word vectors: compare them with the judgements of the channel evaluation.",
    ),
    Float(
        "learning_rate",
        above=0,
        default=0.05,
        tunable=Tunable(0.005, 0.01),
        help="Step size at the beginning; it falls linearly to 0.",
    ),
    Integer("max_char", minimum=1, default=6, help="subwords: the most characters of one."),
    Integer("min_char", minimum=1, default=3, help="subwords: the least characters of one."),
    Integer(
        "min_count",
        minimum=0,
        default=5,
        tunable=Tunable(0, 100),
        help="Words that are rarer than this are left out.",
    ),
    Integer(
        "min_epochs",
        minimum=1,
        default=5,
        help="early_stopping: epochs before it may stop.",
    ),
    Integer(
        "negative_samples",
        minimum=1,
        default=5,
        tunable=Tunable(5, 25),
        help="Word vectors: random words against which every pair of neighbours is trained.",
    ),
    Integer(
        "patience",
        minimum=1,
        default=4,
        help="early_stopping: epochs without improvement that are waited for.",
    ),
    Float(
        "sampling_threshold",
        above=0,
        maximum=1,
        default=0.0001,
        tunable=Tunable(0.0001, 0.001),
        help="Word vectors: words that are more frequent than this share are left out at random.",
    ),
    Boolean(
        "subwords",
        default=False,
        help="skipgram and cbow: learn vectors of character n-grams, so that unknown words have "
        "one too.",
    ),
    Integer(
        "vector_dim",
        minimum=1,
        default=100,
        tunable=Tunable(32, 300),
        help="Numbers in a vector.",
    ),
    Integer(
        "window_size",
        minimum=1,
        default=5,
        tunable=Tunable(1, 10),
        help="Word vectors: how far neighbours are looked for, on each side.",
    ),
    Integer(
        "word_ngrams",
        minimum=1,
        default=2,
        tunable=Tunable(1, 3),
        help="supervised: the longest sequences of words that are features.",
    ),
    checks=[
        Check(("subwords", "mode"), _subwords_where_they_are),
        Check(("min_char", "max_char"), _characters_in_order),
    ],
)


def settings_of(values: Values) -> Settings:
    """The settings of validated hyperparameters."""
    chosen: dict[str, Any] = {field.name: values[field.name] for field in fields(Settings)}
    return Settings(**chosen)

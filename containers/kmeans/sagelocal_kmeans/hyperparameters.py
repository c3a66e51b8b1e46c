"""The hyperparameter table of the algorithm, and the typed settings that come out of it.

Names, ranges and defaults are those of the developer guide's page "K-Means Hyperparameters".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from sagelocal_train.hyperparameters import (
    AUTO,
    FIRST_PARTY_HIDDEN,
    Categorical,
    Float,
    Hyperparameters,
    Integer,
    Text,
    Tunable,
    Values,
)

Method = Literal["random", "kmeans++"]
METHODS = ("random", "kmeans++")

# What the original's log says that auto comes to.
AUTO_CENTER_FACTOR = 10
AUTO_TRIALS = 10

# A JSON list; clients also write it without quotes, or as one word.
_METRIC = r"""["']?(msd|ssd)["']?"""
_METRICS = rf"\s*\[?\s*{_METRIC}(\s*,\s*{_METRIC})*\s*\]?\s*"

TABLE = Hyperparameters(
    Integer("feature_dim", minimum=1, required=True, help="Number of features."),
    Integer("k", minimum=1, required=True, help="Number of clusters."),
    Integer(
        "epochs",
        minimum=1,
        default=1,
        tunable=Tunable(1, 10),
        help="Passes over the training data.",
    ),
    Text(
        "eval_metrics",
        pattern=_METRICS,
        expected="a JSON list of 'msd', 'ssd' or both",
        default='["msd"]',
        help="What the log says of train and test data: the mean or the sum of rows' squared "
        "distances to their cluster's centre.",
    ),
    Integer(
        "extra_center_factor",
        minimum=1,
        auto=True,
        default=AUTO,
        tunable=Tunable(4, 10),
        help="While it streams, the algorithm has k times as many centres; auto is 10.",
    ),
    Integer(
        "half_life_time_size",
        minimum=0,
        default=0,
        help="After so many further rows, a row weighs half in its cluster's mean; 0 means that "
        "all rows weigh the same.",
    ),
    Categorical(
        "init_method",
        METHODS,
        default="random",
        tunable=True,
        help="How the first centres are chosen among rows.",
    ),
    Categorical(
        "local_lloyd_init_method",
        METHODS,
        default="kmeans++",
        help="How Lloyd's method begins when the centres are made k.",
    ),
    Integer("local_lloyd_max_iter", minimum=1, default=300, help="The most steps it takes."),
    Integer(
        "local_lloyd_num_trials",
        minimum=1,
        auto=True,
        default=AUTO,
        help="How often it is tried; the best outcome counts. auto is 10.",
    ),
    Float(
        "local_lloyd_tol",
        minimum=0,
        maximum=1,
        default=0.0001,
        help="The relative change of the sum of squared distances at which it stops.",
    ),
    Integer(
        "mini_batch_size",
        minimum=1,
        default=5000,
        tunable=Tunable(3000, 15000),
        help="Rows that are assigned to centres before the centres move.",
    ),
    # Accepted by the original as well, without a word in its documentation; the SDK sends it.
    hidden=FIRST_PARTY_HIDDEN | {"force_dense"},
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The hyperparameters of a job; names and meanings are the algorithm's own."""

    feature_dim: int
    k: int
    epochs: int = 1
    eval_metrics: tuple[str, ...] = ("msd",)
    extra_center_factor: int = AUTO_CENTER_FACTOR
    extra_center_factor_is_auto: bool = True
    half_life_time_size: int = 0
    init_method: Method = "random"
    local_lloyd_init_method: Method = "kmeans++"
    local_lloyd_max_iter: int = 300
    local_lloyd_num_trials: int = AUTO_TRIALS
    local_lloyd_tol: float = 0.0001
    mini_batch_size: int = 5000


def settings_of(values: Values) -> Settings:
    """The typed settings of checked hyperparameters."""
    factor = values.integer_or_auto("extra_center_factor")
    trials = values.integer_or_auto("local_lloyd_num_trials")
    metrics = re.findall(r"msd|ssd", values.text("eval_metrics"))
    return Settings(
        feature_dim=values.integer("feature_dim"),
        k=values.integer("k"),
        epochs=values.integer("epochs"),
        eval_metrics=tuple(dict.fromkeys(metrics)),
        extra_center_factor=AUTO_CENTER_FACTOR if factor == AUTO else factor,
        extra_center_factor_is_auto=factor == AUTO,
        half_life_time_size=values.integer("half_life_time_size"),
        init_method=cast(Method, values.text("init_method")),
        local_lloyd_init_method=cast(Method, values.text("local_lloyd_init_method")),
        local_lloyd_max_iter=values.integer("local_lloyd_max_iter"),
        local_lloyd_num_trials=AUTO_TRIALS if trials == AUTO else trials,
        local_lloyd_tol=values.number("local_lloyd_tol"),
        mini_batch_size=values.integer("mini_batch_size"),
    )

"""The hyperparameter table of the algorithm, and the typed settings that come out of it.

Names, ranges and defaults are those of the developer guide's page "RCF Hyperparameters".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sagelocal_train.hyperparameters import (
    FIRST_PARTY_HIDDEN,
    Hyperparameters,
    Integer,
    Text,
    Tunable,
    Values,
)

ACCURACY, PRECISION_RECALL_FSCORE = "accuracy", "precision_recall_fscore"

# A JSON list; clients also write it without quotes, or without brackets.
_METRIC = rf"""["']?({ACCURACY}|{PRECISION_RECALL_FSCORE})["']?"""
_METRICS = rf"\s*\[?\s*{_METRIC}(\s*,\s*{_METRIC})*\s*\]?\s*"

TABLE = Hyperparameters(
    Integer("feature_dim", minimum=1, maximum=10_000, required=True, help="Number of features."),
    Text(
        "eval_metrics",
        pattern=_METRICS,
        expected=f"a JSON list of '{ACCURACY}', '{PRECISION_RECALL_FSCORE}' or both",
        default=f'["{ACCURACY}", "{PRECISION_RECALL_FSCORE}"]',
        help="What the log says of a test channel.",
    ),
    Integer(
        "num_samples_per_tree",
        minimum=1,
        maximum=2048,
        default=256,
        tunable=Tunable(1, 2048),
        help="Rows that each tree is made of. One in so many rows should be an anomaly, about.",
    ),
    Integer(
        "num_trees",
        minimum=50,
        maximum=1000,
        default=100,
        tunable=Tunable(50, 1000),
        help="Number of trees: more of them make scores less noisy, and slower.",
    ),
    # Accepted by the original as well, without a word in its documentation; the SDK sends some.
    hidden=FIRST_PARTY_HIDDEN | {"_ftp_port", "epochs", "force_dense", "mini_batch_size"},
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The hyperparameters of a job; names and meanings are the algorithm's own."""

    feature_dim: int
    eval_metrics: tuple[str, ...]
    num_samples_per_tree: int
    num_trees: int


def settings_of(values: Values) -> Settings:
    """The typed settings of checked hyperparameters."""
    metrics = re.findall(f"{ACCURACY}|{PRECISION_RECALL_FSCORE}", values.text("eval_metrics"))
    return Settings(
        feature_dim=values.integer("feature_dim"),
        eval_metrics=tuple(dict.fromkeys(metrics)),
        num_samples_per_tree=values.integer("num_samples_per_tree"),
        num_trees=values.integer("num_trees"),
    )

"""The metrics: their names and directions, and what the log says of them.

Most are the library's own; `CUSTOM` are computed by `custom_metrics`.
"""

from __future__ import annotations

from collections.abc import Sequence

from sagelocal_train.metrics import Metric, Metrics

MAXIMIZE = (
    *("accuracy", "auc", "aucpr", "balanced_accuracy", "f1", "f1_binary", "f1_macro", "map"),
    *("ndcg", "precision", "precision_macro", "precision_micro", "r2"),
    *("recall", "recall_macro", "recall_micro"),
)
MINIMIZE = (
    *("aft-nloglik", "cox-nloglik", "error", "gamma-deviance", "gamma-nloglik"),
    *("interval-regression-accuracy", "logloss", "mae", "mape", "merror", "mlogloss", "mphe"),
    *("mse", "poisson-nloglik", "rmse", "rmsle", "tweedie-nloglik"),
)
NAMES = MAXIMIZE + MINIMIZE
CUSTOM = (
    *("accuracy", "balanced_accuracy", "f1", "f1_binary", "f1_macro", "mse", "r2"),
    *("precision", "precision_macro", "precision_micro"),
    *("recall", "recall_macro", "recall_micro"),
)
WITH_THRESHOLD = ("error", "ndcg", "map")
"""Metrics that may be written with a number: `error@0.7`, `ndcg@5`."""


def base_name(name: str) -> str:
    """`ndcg` of `ndcg@5`."""
    return name.partition("@")[0].strip()


def is_maximized(name: str) -> bool:
    """Whether more of it is better."""
    return base_name(name) in MAXIMIZE


def _declared() -> list[Metric]:
    return [
        Metric(
            f"{data}:{name}",
            # The log's tabs come out of CloudWatch as #011.
            rf".*\[[0-9]+\].*#011{data}-{name}:(\S+)",
            goal=("Maximize" if name in MAXIMIZE else "Minimize") if data == "validation" else None,
        )
        for data in ("train", "validation")
        for name in NAMES
    ]


METRICS = Metrics(*_declared())
TUNING_OBJECTIVES = tuple(f"validation:{name}" for name in NAMES)


def custom_names(names: Sequence[str]) -> tuple[str, ...]:
    """Those of the names that the library does not have, in their order."""
    return tuple(name for name in names if name in CUSTOM)

"""What a job asks for, settled: the library's parameters, the metrics, and when to stop.

Values come from `hyperparameters.TABLE`; a plan says what `xgboost.train` is called with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sagelocal_train.hyperparameters import Values

from sagelocal_xgboost import metrics
from sagelocal_xgboost.hyperparameters import GIVEN_UP, library_parameters


@dataclass(frozen=True, slots=True)
class Plan:
    """One training: `parameters` are the library's, everything else is for what is around it."""

    num_round: int
    objective: str
    num_class: int | None = None
    booster: str = "gbtree"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    custom_metrics: tuple[str, ...] = ()
    last_metric: str | None = None
    early_stopping_rounds: int | None = None
    folds: int | None = None
    repetitions: int = 1
    seed: int = 0
    csv_weights: bool = False
    save_on_termination: bool = False
    given_up: tuple[str, ...] = ()

    @property
    def is_classification(self) -> bool:
        """Whether labels are classes."""
        return self.objective.startswith(("binary:", "multi:"))

    @classmethod
    def of(cls, values: Values, threads: int) -> Plan:
        """The plan of a job on a machine with so many processors."""
        names = _metric_names(values)
        custom = metrics.custom_names(names)
        parameters = library_parameters(values)
        parameters.setdefault("nthread", threads)
        own = [name for name in names if name not in custom]
        if own:
            parameters["eval_metric"] = own
        return cls(
            num_round=values.integer("num_round"),
            objective=str(parameters.get("objective", values["objective"])),
            num_class=None if values["num_class"] is None else values.integer("num_class"),
            booster=values.text("booster"),
            parameters=parameters,
            custom_metrics=custom,
            last_metric=_last_metric(values, names),
            early_stopping_rounds=_integer(values, "early_stopping_rounds"),
            folds=_integer(values, "_kfold"),
            repetitions=_integer(values, "_num_cv_round") or 1,
            seed=values.integer("seed"),
            csv_weights=values.integer("csv_weights") == 1,
            save_on_termination=values["save_model_on_termination"] == "true",
            given_up=tuple(sorted(values.given & GIVEN_UP)),
        )


def _metric_names(values: Values) -> list[str]:
    """What to print, the tuning job's objective among it; each name once."""
    asked = values.text("eval_metric").split(",") if values["eval_metric"] else []
    return list(dict.fromkeys([*asked, *_tuned(values)]))


def _tuned(values: Values) -> list[str]:
    name = values["_tuning_objective_metric"]
    return [] if name is None else [str(name).partition(":")[2]]


def _last_metric(values: Values, names: list[str]) -> str | None:
    """What early stopping looks at: the tuning job's objective, or what is named last."""
    candidates = _tuned(values) or names
    return candidates[-1] if candidates else None


def _integer(values: Values, name: str) -> int | None:
    return None if values[name] is None else values.integer(name)

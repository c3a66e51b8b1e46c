"""One call of `xgboost.train`: a plan and data in, a model out, errors said with their owner."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import xgboost
from sagelocal_train.errors import AlgorithmError
from xgboost.callback import EarlyStopping, TrainingCallback

from sagelocal_xgboost import metrics
from sagelocal_xgboost.callbacks import EvaluationLog, RoundLog
from sagelocal_xgboost.custom_metrics import CustomMetrics, MetricError
from sagelocal_xgboost.data import Dataset
from sagelocal_xgboost.declarations import UserError
from sagelocal_xgboost.matrices import dmatrix, widened
from sagelocal_xgboost.plan import Plan

logger = logging.getLogger(__name__)

# Texts of the library for what the user can mend; the first ones are the original image's list.
_CUSTOMER_ERRORS = re.compile(
    "|".join(
        [
            r"label must be in \[0,1\] for logistic regression",
            r"label must be in \[0, num_class\)",
            r"label must be (non-negative|positive|greater)",
            r"label must be discrete values in the range of \[0, num_class\)",
            r"Target is multiclass but average='binary'",
            r"feature_names mismatch",
            r"Number of columns does not match",
            r"preds\.[sS]ize\(\) == info\.labels",
            r"the dataset only contains pos or neg samples",
            r"base_score must be in \(0,1\)",
            r"PoissonRegression: label must be nonnegative",
            r"TweedieRegression: label must be nonnegative",
            r"for Parameter \w+ should be",
            r"Invalid Parameter format for",
            r"Invalid Input: ",
            r"Unknown (metric function|tree updater|linear updater|objective function)",
            r"can not be used to create new trees",
            r"No more tree left for updating",
            r"can only be used with binary labels",
            r"is not applicable to the current booster",
            r"number of features in the data|monotone|interaction constraint",
        ]
    )
)
_PLACE = re.compile(r"^\[[0-9:]+\] \S+:[0-9]+: ")


def matrix(dataset: Dataset, plan: Plan, width: int | None = None) -> xgboost.DMatrix:
    """A data set as the library takes it; sparse rows get `width` columns."""
    found = dmatrix(
        widened(dataset.rows, width),
        label=dataset.labels,
        weight=dataset.weights,
        qid=dataset.groups,
        nthread=int(plan.parameters.get("nthread", 1)),
    )
    if plan.objective == "survival:aft":
        # The channels have no place for a range: what is known is the label itself.
        found.set_float_info("label_lower_bound", dataset.labels)
        found.set_float_info("label_upper_bound", dataset.labels)
    return found


def train(
    plan: Plan,
    data: xgboost.DMatrix,
    validation: xgboost.DMatrix | None,
    callbacks: Sequence[TrainingCallback] = (),
    resumed: tuple[xgboost.Booster, int] | None = None,
) -> tuple[xgboost.Booster, EvaluationLog]:
    """The model, and the metrics of each round. Raises UserError or AlgorithmError."""
    model, done = resumed if resumed else (None, 0)
    watched = [(data, "train")]
    if validation is not None:
        watched.append((validation, "validation"))
    history: EvaluationLog = {}
    try:
        booster = xgboost.train(
            dict(plan.parameters),
            data,
            num_boost_round=max(plan.num_round - done, 0),
            evals=watched,
            custom_metric=_custom_metric(plan),
            evals_result=history,
            callbacks=[RoundLog(done), *_early_stopping(plan, validation), *callbacks],
            xgb_model=model,
            verbose_eval=False,
        )
    except MetricError as error:
        raise UserError(str(error)) from error
    except (xgboost.core.XGBoostError, ValueError) as error:
        raise _explained(error) from error
    return booster, history


def _custom_metric(plan: Plan) -> CustomMetrics | None:
    """What is computed beside the library's own metrics."""
    if not plan.custom_metrics:
        return None
    return CustomMetrics(plan.custom_metrics, plan.objective, plan.num_class)


def _early_stopping(plan: Plan, validation: xgboost.DMatrix | None) -> list[TrainingCallback]:
    if plan.early_stopping_rounds is None:
        return []
    if validation is None:
        logger.warning("early_stopping_rounds needs the channel validation, and is passed over")
        return []
    name = plan.last_metric
    return [
        EarlyStopping(
            rounds=plan.early_stopping_rounds,
            data_name="validation",
            metric_name=name,
            maximize=None if name is None else metrics.is_maximized(name),
            # A linear model has no rounds that could be taken off again.
            save_best=plan.booster != "gblinear",
        )
    ]


def _explained(error: Exception) -> Exception:
    """The library's own text, without its stack, as an error with an owner."""
    said = _PLACE.sub("", str(error).partition("Stack trace:")[0]).strip()
    if _CUSTOMER_ERRORS.search(said):
        return UserError(said)
    return AlgorithmError(f"XGB train call failed with exception:\n {said}")


def empty_like(width: int, plan: Plan) -> xgboost.DMatrix:
    """A data set without rows, for a host that has none where others have some."""
    labels = np.zeros(0, np.float32)
    rows: Any = np.zeros((0, width), np.float32)
    return matrix(Dataset((), rows, labels), plan)

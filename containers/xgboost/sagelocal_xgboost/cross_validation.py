"""Cross validation: `_kfold` models, each measured by the rows that it was not trained on.

    xgboost-model-0 ... xgboost-model-(K-1)    all of them, which serving averages
    output/data/predictions.csv               label and prediction of each row, out of fold

For classes a row of predictions.csv has label, mean probability and most frequent class, for
numbers label and mean prediction (sagemaker-xgboost-container, prediction_utils.py).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray
from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold

from sagelocal_xgboost import booster
from sagelocal_xgboost.callbacks import EvaluationLog, Stop, round_line
from sagelocal_xgboost.custom_metrics import classes_of
from sagelocal_xgboost.declarations import UserError
from sagelocal_xgboost.plan import Plan

logger = logging.getLogger(__name__)

PREDICTIONS_NAME = "predictions.csv"

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The models of all folds, and a line of predictions for each row."""

    models: list[xgboost.Booster]
    predictions: Floats


def run(plan: Plan, data: xgboost.DMatrix, stop: Stop) -> Outcome:
    """Train and measure every fold; raises UserError where there are too few rows."""
    folds = plan.folds or 0
    labels: Floats = data.get_label().astype(np.float64)
    if len(labels) < folds:
        raise UserError(f"_kfold={folds} needs at least {folds} rows; there are {len(labels)}")
    models: list[xgboost.Booster] = []
    histories: list[EvaluationLog] = []
    recorder = _Recorder(len(labels), plan)
    for train_rows, left_out in _folds(plan, labels):
        logger.info("Train cross validation fold %d", len(models) % folds + 1)
        model, history = booster.train(
            plan, data.slice(train_rows), data.slice(left_out), callbacks=[stop]
        )
        if stop.requested is not None:
            break
        models.append(model)
        histories.append(history)
        recorder.record(left_out, model.predict(data.slice(left_out)))
        if len(models) % folds == 0:
            logger.info("The metrics of round %d cross validation", len(models) // folds)
            print(mean_line(plan.num_round, histories[-folds:]), flush=True)
    if plan.repetitions > 1 and stop.requested is None:
        logger.info("The overall metrics of %d-round cross validation", plan.repetitions)
        print(mean_line(plan.num_round, histories), flush=True)
    return Outcome(models, recorder.table(labels))


def save_predictions(outcome: Outcome, folder: Path) -> None:
    """Write predictions.csv into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PREDICTIONS_NAME
    logger.info("Storing predictions on validation set(s) in %s", path)
    np.savetxt(path, outcome.predictions, delimiter=",", fmt="%f")


def mean_line(number: int, histories: Sequence[EvaluationLog]) -> str:
    """The line of a round with the means of the last values of several trainings."""
    mean = {
        data: {
            name: [float(np.mean([history[data][name][-1] for history in histories]))]
            for name in by_name
        }
        for data, by_name in histories[0].items()
    }
    return round_line(number, mean)


def _folds(plan: Plan, labels: Floats) -> Iterator[tuple[Rows, Rows]]:
    arguments: dict[str, Any] = {
        "n_splits": plan.folds,
        "n_repeats": plan.repetitions,
        "random_state": abs(plan.seed),
    }
    rows = np.zeros(len(labels))
    try:
        if plan.is_classification:
            yield from RepeatedStratifiedKFold(**arguments).split(rows, labels.astype(np.int64))
        else:
            yield from RepeatedKFold(**arguments).split(rows)
    except ValueError as error:  # fewer rows of every class than folds
        raise UserError(f"_kfold={plan.folds}: {error}") from error


class _Recorder:
    """What the models say of the rows that they have not seen."""

    def __init__(self, rows: int, plan: Plan) -> None:
        self._is_classification = plan.is_classification
        self._objective = plan.objective
        self._sums = np.zeros(rows)
        self._counts = np.zeros(rows)
        self._votes = np.zeros((rows, plan.num_class or 2))

    def record(self, rows: Rows, predictions: NDArray[Any]) -> None:
        """The predictions of one model for these rows."""
        self._counts[rows] += 1
        if not self._is_classification:
            self._sums[rows] += predictions
            return
        classes = classes_of(predictions, self._objective)
        if predictions.ndim > 1:
            predictions = predictions[np.arange(len(rows)), classes]
        self._sums[rows] += predictions
        self._votes[rows, classes] += 1

    def table(self, labels: Floats) -> Floats:
        """Label, mean and, of classes, the most frequent."""
        mean = self._sums / np.maximum(self._counts, 1)
        columns = [labels, mean]
        if self._is_classification:
            columns.append(self._votes.argmax(axis=1))
        return np.column_stack(columns)

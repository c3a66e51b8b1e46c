"""Selectable inference: SAGEMAKER_INFERENCE_OUTPUT names what an answer shall say of each row.

    SAGEMAKER_INFERENCE_OUTPUT=predicted_label,probability
        -> {"predictions": [{"predicted_label": 1, "probability": 0.6}, ...]}

A key that the model's objective does not give is NaN; an objective with no keys at all is an error
(sagemaker-xgboost-container, algorithm_mode/serve_utils.py).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sagelocal_serve.errors import ModelError

PREDICTED_LABEL = "predicted_label"
LABELS = "labels"
PROBABILITY = "probability"
PROBABILITIES = "probabilities"
RAW_SCORE = "raw_score"
RAW_SCORES = "raw_scores"
PREDICTED_SCORE = "predicted_score"

KEYS = (
    PREDICTED_LABEL,
    LABELS,
    PROBABILITY,
    PROBABILITIES,
    RAW_SCORE,
    RAW_SCORES,
    PREDICTED_SCORE,
)

_REGRESSION = frozenset({PREDICTED_SCORE})
_LABELLED = frozenset({PREDICTED_LABEL, LABELS, RAW_SCORE, RAW_SCORES})
_PROBABLE = _LABELLED | {PROBABILITY, PROBABILITIES}
_KEYS_OF_OBJECTIVES = {
    "binary:logistic": _PROBABLE,
    "multi:softprob": _PROBABLE,
    "binary:logitraw": _LABELLED,
    "binary:hinge": _LABELLED,
    "multi:softmax": _LABELLED,
}


def parse_keys(text: str) -> tuple[str, ...]:
    """The keys of SAGEMAKER_INFERENCE_OUTPUT; raises ValueError for one that does not exist."""
    keys = tuple(key.strip().lower() for key in text.split(",") if key.strip())
    unknown = [key for key in keys if key not in KEYS]
    if unknown or not keys:
        named = ", ".join(map(repr, unknown)) or "nothing"
        raise ValueError(
            f"SAGEMAKER_INFERENCE_OUTPUT={text!r} names {named}; use one or several of "
            f"{', '.join(KEYS)}, with commas between them"
        )
    return keys


def select(
    predictions: NDArray[Any], keys: tuple[str, ...], objective: str, num_class: int
) -> list[dict[str, Any]]:
    """One record per row with the selected keys; raises ModelError for an objective without any."""
    known = _REGRESSION if objective.startswith("reg:") else _KEYS_OF_OBJECTIVES.get(objective)
    if known is None:
        raise ModelError(
            f"Objective {objective!r} does not support selectable inference predictions; unset "
            "SAGEMAKER_INFERENCE_OUTPUT"
        )
    labels = list(range(num_class)) if objective.startswith("multi:") else [0, 1]
    return [
        {key: _value(key, raw, objective, labels) if key in known else math.nan for key in keys}
        for raw in predictions.tolist()
    ]


def _value(key: str, raw: Any, objective: str, labels: list[int]) -> Any:
    """The field of one row; `raw` is the model's output for it, a number or one per class."""
    match key:
        case "predicted_score":
            return raw
        case "predicted_label":
            return _predicted_label(raw, objective)
        case "labels":
            return labels
    # A number says how much class 1 is, class 0 has the rest.
    scores = raw if isinstance(raw, list) else [1.0 - raw, raw]
    if key in ("probabilities", "raw_scores"):
        return scores
    return max(raw) if isinstance(raw, list) else raw


def _predicted_label(raw: Any, objective: str) -> int | float:
    if isinstance(raw, list):
        return int(np.argmax(raw))
    if objective == "binary:logistic":
        return int(raw > 0.5)
    if objective == "binary:logitraw":
        return int(raw > 0)
    return float(raw)  # multi:softmax and binary:hinge give the label itself

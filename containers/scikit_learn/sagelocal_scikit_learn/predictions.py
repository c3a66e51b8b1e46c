"""What a model says of its features, as arrays that every answer format can write."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandas as pd
from sagelocal_serve import BadRequest
from sagelocal_serve.errors import describe
from scipy import sparse

METHOD_VARIABLE = "MODEL_SERVER_PREDICT_METHOD"
METHODS = (
    *("predict", "predict_proba", "predict_log_proba", "decision_function"),
    *("score_samples", "transform"),
)


class MethodError(ValueError):
    """The model has no method of that name; the text says which it has."""


def method_of(model: object) -> str:
    """The method to call: the setting's, else `predict`, else `transform`. Raises MethodError."""
    there = [name for name in METHODS if hasattr(model, name)]
    wanted = os.environ.get(METHOD_VARIABLE, "").strip()
    if wanted and wanted not in METHODS:
        raise MethodError(
            f"{METHOD_VARIABLE}={wanted!r} is none of the methods that can be served: "
            f"{', '.join(METHODS)}."
        )
    if wanted and wanted not in there:
        raise MethodError(
            f"{METHOD_VARIABLE} is {wanted!r}, and the model, a {type(model).__name__}, has "
            f"{', '.join(there) or 'none of the methods that can be served'}."
        )
    for name in (wanted, "predict", "transform"):
        if name and name in there:
            return name
    raise MethodError(
        f"The model is a {type(model).__name__}, which has neither predict nor transform. Save "
        "the fitted estimator itself, or define predict_fn in code/inference.py."
    )


def predict(model: Any, method: str, features: Any) -> Any:
    """Call the method; the result as an array, or a list of them for several outputs.

    scikit-learn checks what it is given and says ValueError to what does not fit (NaN, text, an
    unknown category), so that one is the caller's fault: BadRequest.
    """
    try:
        return plain(getattr(model, method)(features))
    except ValueError as error:
        raise BadRequest(f"The model cannot take this input. {describe(error)}") from error


def plain(result: Any) -> Any:
    """DataFrames, series, sparse matrices and arrays of str objects as arrays of their values."""
    if isinstance(result, list):
        return [plain(each) for each in result]
    if sparse.issparse(result):
        return result.toarray()
    values = result.to_numpy() if isinstance(result, pd.DataFrame | pd.Series) else result
    if not isinstance(values, np.ndarray):
        return values
    if values.dtype.hasobject and all(isinstance(item, str) for item in values.flat):
        return values.astype(str)
    return values

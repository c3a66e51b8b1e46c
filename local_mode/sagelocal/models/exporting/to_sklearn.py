"""Fitted estimators of scikit-learn, as a joblib file. Needs the packages scikit-learn and joblib.

Only documented attributes are set, on estimators that were never given rows. scikit-learn promises
to open such a file with the version that wrote it, which the note says.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import sklearn
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from sagelocal.models.errors import ModelError, NoExport
from sagelocal.models.exporting import formulas
from sagelocal.models.exporting.formulas import Linear
from sagelocal.models.exporting.written import Written, write
from sagelocal.models.model import Model


def export(model: Model, output: Path) -> Written:
    """Write the estimator; raises ModelError."""
    try:
        estimator, *notes = _FAMILIES[model.family or ""](model)
    except ValueError as error:
        raise ModelError(f"scikit-learn does not take its numbers: {error}") from error
    content = io.BytesIO()
    joblib.dump(estimator, content, compress=3)
    write(output, content.getvalue())
    name = type(estimator).__name__
    says = f"{name} of scikit-learn {sklearn.__version__}, for joblib.load"
    versions = f"open it with scikit-learn {sklearn.__version__}, which wrote it"
    return Written(output, says, (*notes, versions))


def _linear(model: Model) -> tuple[Any, ...]:
    found = formulas.linear(model)
    if found.labels is None:
        return (_with(LinearRegression(), found, found.weights[0], found.bias[0]),)
    return _binary(found) if found.labels == "threshold" else _multiclass(found)


def _binary(found: Linear) -> tuple[Any, ...]:
    if found.link == "softmax":
        raise NoExport("a binary classifier whose score is a softmax has no estimator")
    estimator = _classifier(found)
    _with(estimator, found, found.weights, found.bias, np.arange(2))
    if found.is_neutral:
        return (estimator,)
    method = "predict_proba" if found.link == "sigmoid" else "decision_function"
    threshold = FixedThresholdClassifier(
        FrozenEstimator(estimator), threshold=found.threshold, response_method=method, pos_label=1
    )
    # Fitting what is frozen keeps it, and tells the classifier its labels.
    threshold.fit(np.zeros((2, found.weights.shape[1])), [0, 1])
    return threshold, f"its threshold is {found.threshold:g}; estimator_ has the coefficients"


def _multiclass(found: Linear) -> tuple[Any, ...]:
    if found.link == "sigmoid":
        raise NoExport("scikit-learn has no estimator whose classes have a sigmoid each")
    weights, bias = found.weights, found.bias
    if len(weights) == 2:
        # Of two classes scikit-learn keeps one row: how much more the second is.
        weights, bias = weights[1:] - weights[:1], bias[1:] - bias[:1]
    return (_with(_classifier(found), found, weights, bias, np.arange(len(found.weights))),)


def _classifier(found: Linear) -> Any:
    """Scores that are no probabilities are those of a hinge loss."""
    return SGDClassifier(loss="hinge") if found.link == "identity" else LogisticRegression()


def _with(estimator: Any, found: Linear, coef: Any, intercept: Any, classes: Any = None) -> Any:
    estimator.coef_ = np.asarray(coef, np.float64)
    estimator.intercept_ = np.float64(intercept) if np.ndim(intercept) == 0 else intercept * 1.0
    estimator.n_features_in_ = found.weights.shape[1]
    if classes is not None:
        estimator.classes_ = classes
    return estimator


def _pca(model: Model) -> tuple[Any, ...]:
    found = formulas.components(model)
    features, count = found.components.shape
    estimator = PCA(n_components=count)
    estimator.components_ = found.components.T[::-1].astype(np.float64)
    estimator.mean_ = found.mean.astype(np.float64)
    estimator.n_components_, estimator.n_features_in_ = count, features
    if found.singular_values is not None:
        estimator.singular_values_ = found.singular_values[::-1].astype(np.float64)
    return (
        estimator,
        "components are in scikit-learn's order, the largest first; the image answers with the "
        "largest last",
        "the model does not say how many rows it saw: explained_variance_ and what needs it is "
        "missing",
    )


def _kmeans(model: Model) -> tuple[Any, ...]:
    centers = formulas.centers(model).astype(np.float64)
    estimator = KMeans(len(centers), init=centers, n_init=1, max_iter=1)
    with warnings.catch_warnings():
        # Centres that are equal are found to be fewer clusters.
        warnings.simplefilter("ignore")
        estimator.fit(centers)
    estimator.cluster_centers_ = centers
    return estimator, "give it rows of float64, as its centres are; float32 raises"


def _knn(model: Model) -> tuple[Any, ...]:
    found = formulas.neighbours(model)
    if found.metric == "INNER_PRODUCT":
        raise NoExport("scikit-learn has no neighbours by inner product; export it --to onnx")
    metric = "cosine" if found.metric == "COSINE" else "euclidean"
    kind = KNeighborsClassifier if found.is_classifier else KNeighborsRegressor
    estimator = kind(found.k, algorithm="brute", metric=metric).fit(found.points, found.labels)
    if not found.is_classifier:
        return (estimator,)
    return (
        estimator,
        "of labels with as many neighbours scikit-learn takes the lowest, the image that of the "
        "nearest",
    )


_FAMILIES: Mapping[str, Callable[[Model], tuple[Any, ...]]] = {
    "linear-learner": _linear,
    "pca": _pca,
    "kmeans": _kmeans,
    "knn": _knn,
}
